"""A normal posterior with a full covariance matrix for each datum."""

from __future__ import annotations

import pyro.distributions as dist
import torch
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


@POSTERIORS.register("full_rank_normal")
class FullRankNormal(Posterior):
    r"""Normal with full covariance: the encoder gives its mean and Cholesky factor.

    .. math:: q(z \mid x) = \mathcal{N}(z \mid \mu(x), L(x) L(x)^\top)

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Kingma & Welling 2019, sec. 2.5.1; arXiv:1906.02691

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import FullRankNormal
    >>> q = FullRankNormal(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> q.covariance_matrix.shape
    torch.Size([5, 3, 3])
    """

    properties = Posterior.properties | {"marginals", "moments", "covariance"}
    below: Tensor

    def __init__(self, features: int, latent_dim: int, *, gamma: Gamma = None) -> None:
        super().__init__(features, latent_dim)
        self.loc = location(features, latent_dim, gamma)
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
