"""Posteriors of codes that are labels, and how gradients get past their draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.labels import Indicators, Label, Switch, as_numbers
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head
from pyrovae.models.priors.discrete import Classes

Gradient = Literal["concrete", "straight_through", "score"]
#: Score-function gradients need another draw to compare with.
Draws = Annotated[int, Field(ge=2)]


class Discrete(Posterior):
    """Base of the two: what training does with a law of labels.

    Parameters
    ----------
    features, latent_dim
        As for every posterior.
    gradient
        ``concrete``: draws are relaxed, the decoder is trained on points between labels.
        ``straight_through``: the decoder sees labels, gradients are those of the relaxed draws.
        ``score``: the score-function gradient, without bias, each draw compared with the mean of
        the other ``draws`` of its datum (leave-one-out; Kool et al. 2019).
    temperature
        Of relaxed draws, or a schedule of it: the lower, the nearer to labels and the noisier the
        gradient.
    draws
        Codes drawn for each datum by ``score``.
    """

    properties = frozenset({"amortized", "factorized", "marginals", "expectations"})
    temperature: Tensor

    def __init__(
        self, features: int, latent_dim: int, gradient: Gradient, temperature: Any, draws: int
    ) -> None:
        super().__init__(features, latent_dim)
        self.gradient = gradient
        self.draws = draws if gradient == "score" else 1
        self.set_number("temperature", temperature)

    def in_training(self, law: Distribution) -> Distribution:
        """Return the law of the numbers that the decoder reads, with the draws of training."""
        units: Any = law.base_dist  # type: ignore[attr-defined]
        if self.gradient == "score":
            return Indicators(units)
        return Indicators(units, self.temperature, hard=self.gradient == "straight_through")


@POSTERIORS.register("categorical")
class Categorical(Discrete):
    r"""Independent labels, with probabilities from the encoder.

    .. math:: q(z \mid x) = \prod_u \mathrm{softmax}(l_u(x))_{z_u}

    The decoder reads K numbers for each label, 1 at its place. What is measured after training is
    measured on labels, and the rate is that of labels along training too: of ``concrete`` alone the
    loss is no bound, as its distortion is that of points between labels.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Number of labels that make a code.
    classes
        Number K of labels. The prior must have as many.
    gradient
        ``concrete``: draws are relaxed, the decoder is trained on points between labels.
        ``straight_through``: the decoder sees labels, gradients are those of the relaxed draws.
        ``score``: the score-function gradient, without bias, each draw compared with the mean of
        the others of its datum.
    temperature
        Of relaxed draws, or a schedule of it: the lower, the nearer to labels and the noisier the
        gradient.
    draws
        Codes drawn for each datum by ``score``.

    References
    ----------
    Jang, Gu & Poole 2017, arXiv:1611.01144; Maddison, Mnih & Teh 2017, arXiv:1611.00712 (relaxed);
    Kool, van Hoof & Welling 2019, openreview r1lgTGL5DE (leave-one-out)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Categorical
    >>> posterior, features = Categorical(16, 3, classes=4), torch.randn(5, 16)
    >>> q = posterior(features)
    >>> q.batch_shape, q.event_shape, posterior.in_training(q).rsample().shape
    (torch.Size([5]), torch.Size([3]), torch.Size([5, 12]))
    """

    space = "labels"

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        classes: Classes = 10,
        gradient: Gradient = "concrete",
        temperature: Positive = 2 / 3,
        draws: Draws = 4,
    ) -> None:
        super().__init__(features, latent_dim, gradient, temperature, draws)
        self.classes = classes
        self.logits = head(features, latent_dim * classes)

    @classmethod
    def code_width(cls, latent_dim: int, parameters: Mapping[str, Any]) -> int:
        """Return how many numbers the decoder reads: K for each label."""
        return latent_dim * int(parameters["classes"])

    def read(self, z: Tensor) -> Tensor:
        """Return labels ``(*b, d)`` as the decoder reads them, ``(*b, d K)``."""
        return as_numbers(z, self.classes)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` categorical laws."""
        return Label(logits=self.logits(features).unflatten(-1, (-1, self.classes))).to_event(1)


@POSTERIORS.register("bernoulli")
class Bernoulli(Discrete):
    r"""Independent switches, 0 or 1, with probabilities from the encoder.

    .. math:: q(z \mid x) = \prod_u \pi_u(x)^{z_u} (1 - \pi_u(x))^{1 - z_u}

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Number of switches that make a code.
    gradient, temperature, draws
        As of ``categorical``.

    References
    ----------
    Maddison, Mnih & Teh 2017, arXiv:1611.00712 (relaxed); Mnih & Rezende 2016, arXiv:1602.06725
    (baselines from other draws)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Bernoulli
    >>> q = Bernoulli(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape, q.support.check(q.sample()).all()
    (torch.Size([5]), torch.Size([3]), tensor(True))
    """

    space = "binary"
    classes = 2

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        gradient: Gradient = "concrete",
        temperature: Positive = 2 / 3,
        draws: Draws = 4,
    ) -> None:
        super().__init__(features, latent_dim, gradient, temperature, draws)
        self.logits = head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` Bernoulli laws."""
        return Switch(logits=self.logits(features)).to_event(1)
