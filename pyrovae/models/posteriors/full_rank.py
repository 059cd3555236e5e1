"""A normal posterior with a full covariance matrix for each datum."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head, positive


@POSTERIORS.register(
    "full_rank_normal", source="Kingma & Welling 2019, sec. 2.5.1; arXiv:1906.02691"
)
class FullRankNormal(Posterior):
    """Normal with full covariance: the encoder gives its mean and Cholesky factor."""

    properties = Posterior.properties | {"marginals", "moments", "covariance"}
    below: Tensor

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)
        self.correlation = head(features, latent_dim * latent_dim)
        mask = torch.ones(latent_dim, latent_dim).tril(-1)
        self.register_buffer("below", mask, persistent=False)

    def forward(self, features: Tensor) -> Distribution:
        """Return N(loc, L L^T), L = diag(scale) + strictly lower triangle."""
        d = self.latent_dim
        lower = self.correlation(features).unflatten(-1, (d, d)) * self.below
        scale_tril = lower + torch.diag_embed(positive(self.scale(features)))
        return dist.MultivariateNormal(self.loc(features), scale_tril=scale_tril)
