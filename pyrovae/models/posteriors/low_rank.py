"""A normal posterior whose covariance is diagonal plus low rank."""

from __future__ import annotations

from typing import Annotated

import pyro.distributions as dist
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.models.posteriors.base import (
    POSTERIORS,
    Gamma,
    Posterior,
    head,
    location,
    positive,
)


@POSTERIORS.register("low_rank_normal")
class LowRankNormal(Posterior):
    r"""Normal with covariance F F^T + diag(s²), F of a given rank: between diagonal and full.

    .. math:: q(z \mid x) = \mathcal{N}(z \mid \mu(x), F(x) F(x)^\top + \mathrm{diag}(s(x)^2))

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension ``d`` of the code.
    rank
        Columns of F. From ``d - 1`` on the family is as large as ``full_rank_normal``.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Ong, Nott & Smith 2018, sec. 2; arXiv:1701.03208 (not amortised)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import LowRankNormal
    >>> q = LowRankNormal(16, 8, rank=2)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([8]))
    >>> q.cov_factor.shape
    torch.Size([5, 8, 2])
    """

    properties = Posterior.properties | {"marginals", "moments", "covariance"}

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        rank: Annotated[int, Field(gt=0)] = 2,
        gamma: Gamma = None,
    ) -> None:
        super().__init__(features, latent_dim)
        self.rank = rank
        self.loc = location(features, latent_dim, gamma)
        self.scale = head(features, latent_dim)
        self.factor = head(features, latent_dim * rank)

    def forward(self, features: Tensor) -> Distribution:
        """Return N(loc, F F^T + diag(s²))."""
        factor = self.factor(features).unflatten(-1, (self.latent_dim, self.rank))
        diagonal = positive(self.scale(features)) ** 2
        return dist.LowRankMultivariateNormal(self.loc(features), factor, diagonal)
