"""A posterior of codes that are partly real and partly labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.schedules import Positive
from pyrovae.distributions import analytic_kl
from pyrovae.distributions.columns import Columns
from pyrovae.models.posteriors.base import POSTERIORS, Posterior
from pyrovae.models.posteriors.discrete import Categorical
from pyrovae.models.priors.base import Prior
from pyrovae.models.priors.discrete import Classes
from pyrovae.models.priors.mixed import Labels, family_of, real_units


def check_closed(prior: Prior, posterior: Posterior) -> None:
    """Refuse a pair whose real units have no closed form of the KL.

    The rate of the labels is one, and an estimate of the whole would have to draw labels.

    Raises
    ------
    ConfigError
        With the place ``posterior.real``.
    """
    blank = torch.zeros(1, posterior.features, device=next(posterior.parameters()).device)
    if analytic_kl(posterior(blank), prior().expand(torch.Size((1,)))) is None:
        raise ConfigError(
            "has real units whose KL has no closed form: beside labels it has to have one",
            "real",
        )


@POSTERIORS.register("mixed")
class Mixed(Posterior):
    r"""Real units first, then labels, independent given x; goes with the prior ``mixed``.

    .. math:: q(z, c \mid x) = q(z \mid x) \prod_u \mathrm{softmax}(l_u(x))_{c_u}

    Gradients of the real units are those of their draws, so that ``score``, which takes draws as
    they are, is not there for the labels beside them.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Number of all units.
    real
        The family of the real ones: any with independent real dimensions.
    labels
        How many units are labels: the last ones.
    classes
        Number K of labels of each.
    gradient, temperature
        As of ``categorical``.

    References
    ----------
    Dupont 2018, sec. 3, arXiv:1804.00104

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Mixed
    >>> posterior, features = Mixed(16, 3, labels=1, classes=4), torch.randn(5, 16)
    >>> q = posterior(features)
    >>> q.batch_shape, q.event_shape, posterior.in_training(q).rsample().shape
    (torch.Size([5]), torch.Size([3]), torch.Size([5, 6]))
    """

    space = "mixed"
    smallest_latent_dim = 2
    properties = frozenset({"amortized", "marginals", "expectations", "mixed"})

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        real: Annotated[dict[str, Any], BeforeValidator(family_of(POSTERIORS))] = {  # noqa: B006 - never changed
            "name": "mean_field_normal"
        },
        labels: Labels = 1,
        classes: Classes = 10,
        gradient: Literal["concrete", "straight_through"] = "concrete",
        temperature: Positive = 2 / 3,
    ) -> None:
        super().__init__(features, latent_dim)
        parameters = {key: value for key, value in real.items() if key != "name"}
        size = real_units(latent_dim, labels)
        self.real = POSTERIORS.create(real["name"], features, size, **parameters)
        self.labels = Categorical(
            features, labels, classes=classes, gradient=gradient, temperature=temperature
        )

    @property
    def unit_classes(self) -> tuple[int, ...] | None:
        """Labels of each unit, 0 for the real ones."""
        return (0,) * self.real.latent_dim + (self.labels.unit_classes or ())

    @classmethod
    def code_width(cls, latent_dim: int, parameters: Mapping[str, Any]) -> int:
        """Return how many numbers the decoder reads: one of a real unit, K of a label."""
        labels = int(parameters["labels"])
        return latent_dim - labels + labels * int(parameters["classes"])

    def in_training(self, law: Distribution) -> Distribution:
        """Return the law of the numbers that the decoder reads, with the draws of training."""
        real, labels = law.laws  # type: ignore[attr-defined]
        return Columns([real, self.labels.in_training(labels)])

    def read(self, z: Tensor) -> Tensor:
        """Return codes ``(*b, d)`` as the decoder reads them."""
        real, labels = z.split([self.real.latent_dim, self.labels.latent_dim], -1)
        return torch.cat([real, self.labels.read(labels)], -1)

    def forward(self, features: Tensor) -> Distribution:
        """Return the real law and that of the labels, side by side."""
        return Columns([self.real(features), self.labels(features)])
