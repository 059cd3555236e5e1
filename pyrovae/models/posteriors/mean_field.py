"""Posterior families with independent dimensions."""

from __future__ import annotations

from typing import Annotated, Any

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Number, Within
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.student_t import StudentT
from pyrovae.models.posteriors.base import FACTORIZED, POSTERIORS, Posterior, head, positive


class LocationScale(Posterior):
    """Two heads, location and scale, for a location-scale law in each dimension."""

    properties = FACTORIZED
    law: type[Any]

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` location-scale laws."""
        return self.law(self.loc(features), positive(self.scale(features))).to_event(1)


@POSTERIORS.register("mean_field_normal", source="Kingma & Welling 2014, arXiv:1312.6114")
class MeanFieldNormal(LocationScale):
    """Normal with diagonal covariance, mean and scale from the encoder."""

    law = dist.Normal


@POSTERIORS.register("laplace", source="Park, Lee & Yoo 2019, arXiv:1905.11052 (as a family)")
class MeanFieldLaplace(LocationScale):
    """Independent Laplace laws, location and scale from the encoder."""

    law = dist.Laplace


@POSTERIORS.register(
    "logistic", source="Johnson, Kotz & Balakrishnan 1995, vol. 2, ch. 23 (as a family)"
)
class MeanFieldLogistic(LocationScale):
    """Independent logistic laws: bell-shaped with exponential tails."""

    law = Logistic


@POSTERIORS.register("student_t", source="Domke & Sheldon 2018, arXiv:1808.09034 (as a family)")
class MeanFieldStudentT(LocationScale):
    """Independent Student t laws: power-law tails that cover what a normal q(z|x) misses.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    df
        Degrees of freedom, the same for each datum and dimension, or a schedule of them. Above 2,
        so that q(z|x) has the variance that collapse is measured with, and KL(q || N(0, I)) is
        finite.
    """

    df: Tensor

    def __init__(
        self, features: int, latent_dim: int, *, df: Annotated[Number, Within(gt=2)] = 5.0
    ) -> None:
        super().__init__(features, latent_dim)
        self.set_number("df", df)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` Student t laws."""
        loc = self.loc(features)
        return StudentT(self.df.expand_as(loc), loc, positive(self.scale(features))).to_event(1)
