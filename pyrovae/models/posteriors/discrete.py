"""Posteriors of codes that are labels, and how gradients get past their draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER
from pyrovae.core.schedules import Positive
from pyrovae.distributions.labels import (
    Concrete,
    Indicators,
    Label,
    Switch,
    as_numbers,
    relaxed_numbers,
)
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head
from pyrovae.models.priors.discrete import Classes
from pyrovae.models.sites import Terms, scored

Gradient = Literal["concrete", "relaxed", "straight_through", "score"]
Draws = Annotated[int, Field(ge=1)]
#: What a score-function gradient compares each draw with.
Baseline = Annotated[Literal["others", "running"], LATER]
#: Weight of a minibatch in a running mean.
_MOMENTUM = 0.1


class RunningMean(nn.Module):
    """The mean of what a number was in past minibatches, recent ones first."""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.tensor(0.0))
        self.register_buffer("weight", torch.tensor(0.0))

    def forward(self, now: Tensor) -> Tensor:
        """Return the mean of what was before ``now``, 0-d; 0 where nothing was. Then take it in."""
        before = self.total / self.weight.clamp(min=1e-12)
        if self.training:
            with torch.no_grad():
                self.total.lerp_(now.detach().mean(), _MOMENTUM)
                self.weight.lerp_(torch.ones_like(self.weight), _MOMENTUM)
        return before


class Discrete(Posterior):
    """Base of the two: what training does with a law of labels.

    Parameters
    ----------
    features, latent_dim
        As for every posterior.
    gradient
        ``concrete``: draws are relaxed, the decoder is trained on points between labels.
        ``straight_through``: the decoder sees labels, gradients are those of the relaxed draws.
        ``relaxed``: the same draws, and their densities in place of the laws of labels, of the
        prior at the same temperature: a bound of the relaxed model (Maddison et al. 2017).
        ``straight_through``: the decoder sees labels, gradients are those of the relaxed draws.
        ``score``: the score-function gradient, without bias, each draw compared with a baseline.
    temperature
        Of relaxed draws, or a schedule of it: the lower, the nearer to labels and the noisier the
        gradient.
    draws
        Codes drawn for each datum by ``score``.
    baseline
        Of ``score``. ``others``: the mean of the other draws of the datum (leave-one-out; Kool et
        al. 2019). ``running``: a running mean over minibatches (Mnih & Gregor 2014), for which one
        draw will do.
    """

    properties = frozenset({"amortized", "factorized", "marginals", "expectations"})
    temperature: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        gradient: Gradient,
        temperature: Any,
        draws: int,
        baseline: str,
    ) -> None:
        super().__init__(features, latent_dim)
        self.gradient = gradient
        self.draws = draws if gradient == "score" else 1
        if gradient == "score" and baseline == "others" and draws < 2:
            raise ConfigError("must be at least 2: draws are compared with each other", "draws")
        if gradient == "score" and baseline == "running":
            self.baseline = RunningMean()
        self.set_number("temperature", temperature)

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return :attr:`properties`, less units of a relaxed density, and if draws are labels."""
        if parameters.get("gradient") == "relaxed":
            return cls.properties - {"factorized"}
        return cls.properties | ({"scored"} if parameters.get("gradient") == "score" else set())

    def in_training(self, law: Distribution) -> Distribution:
        """Return the law of what the decoder hears, with the draws of training."""
        units: Any = law.base_dist  # type: ignore[attr-defined]
        if self.gradient == "score":
            return Indicators(units)
        if self.gradient == "relaxed":
            return Concrete(units, self.temperature)
        return Indicators(units, self.temperature, hard=self.gradient == "straight_through")

    def heard(self, z: Tensor) -> Tensor:
        """Return draws of training as the decoder reads them."""
        if self.gradient != "relaxed":
            return z
        return relaxed_numbers(z, self.classes if self.space == "labels" else 0)

    def with_gradients(self, terms: Terms) -> Terms:
        """Return what training draws say, with the score function's gradients where asked for."""
        if not hasattr(self, "baseline"):
            return scored(terms)
        return scored(terms, self.baseline(terms.distortion))


@POSTERIORS.register("categorical")
class Categorical(Discrete):
    r"""Independent labels, with probabilities from the encoder.

    .. math:: q(z \mid x) = \prod_u \mathrm{softmax}(l_u(x))_{z_u}

    The decoder reads K numbers for each label, 1 at its place. What is measured after training is
    measured on labels. Along training the rate is that of labels too, and of ``concrete`` the loss
    is no bound, as its distortion is that of points between labels. Of ``relaxed`` the loss is the
    bound of a relaxed model, prior and posterior at the same temperature, and its rate one of
    densities.

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
        ``relaxed``: the same draws, and their densities in place of the laws of labels.
        ``straight_through``: the decoder sees labels, gradients are those of the relaxed draws.
        ``score``: the score-function gradient, without bias, each draw compared with a baseline.
    temperature
        Of relaxed draws, or a schedule of it: the lower, the nearer to labels and the noisier the
        gradient.
    draws
        Codes drawn for each datum by ``score``.
    baseline
        Of ``score``. ``others``: the mean of the other draws of the datum (leave-one-out).
        ``running``: a running mean over minibatches, for which one draw will do.

    References
    ----------
    Jang, Gu & Poole 2017, arXiv:1611.01144; Maddison, Mnih & Teh 2017, arXiv:1611.00712 (relaxed);
    Kool, van Hoof & Welling 2019, openreview r1lgTGL5DE (leave-one-out); Mnih & Gregor 2014,
    arXiv:1402.0030 (running mean)

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
        baseline: Baseline = "others",
    ) -> None:
        super().__init__(features, latent_dim, gradient, temperature, draws, baseline)
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
    gradient, temperature, draws, baseline
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
        baseline: Baseline = "others",
    ) -> None:
        super().__init__(features, latent_dim, gradient, temperature, draws, baseline)
        self.logits = head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` Bernoulli laws."""
        return Switch(logits=self.logits(features)).to_event(1)
