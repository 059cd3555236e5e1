"""A prior whose tails are set by one number."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch.distributions import Distribution

from pyrovae.distributions.generalized_normal import GeneralizedNormal as Law
from pyrovae.distributions.generalized_normal import unit_variance_scale
from pyrovae.priors.base import PRIORS
from pyrovae.priors.factorized import Factorized


@PRIORS.register(
    "generalized_normal", source="Stühmer, Turner & Nowozin 2020, sec. 3; arXiv:1909.05063"
)
class GeneralizedNormal(Factorized):
    """Independent density proportional to exp(-|z / scale|^p): Laplace at p = 1, normal at 2.

    For p other than 2 it is not rotation-invariant: the axes of the code mean something.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    p
        Shape: below 2 sparser than the normal, above 2 flatter.
    scale
        By default such that the variance is 1, so that only the shape of the density differs from
        ``standard_normal``.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        p: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.5,
        scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None,
    ) -> None:
        super().__init__(latent_dim)
        self.p = p
        self.scale = unit_variance_scale(p) if scale is None else scale

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` generalized normal laws."""
        full = torch.full_like
        return Law(self.zero, full(self.zero, self.scale), full(self.zero, self.p)).to_event(1)
