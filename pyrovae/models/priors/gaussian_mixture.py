"""A learned mixture of Gaussians as prior."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.distributions import Distribution
from torch.nn.functional import softplus

from pyrovae.core.registry import LATER
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture
from pyrovae.models.priors.base import PRIORS, Prior

#: softplus(x + _UNIT) is 1 at x = 0.
_UNIT = 0.541324854612918


@PRIORS.register("gaussian_mixture")
class GaussianMixture(Prior):
    r"""Mixture of K diagonal Gaussians with learned weights, means and scales.

    .. math:: p(z) = \sum_{k=1}^K \pi_k\, \mathcal{N}(z \mid \mu_k, \mathrm{diag}(\sigma_k^2))

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    components
        Number K of components.
    spread
        Standard deviation of the initial means. At 0 all components coincide with N(0, I) and stay
        together for ever, by symmetry. The mixture's own is sqrt(1 + spread²) then, 1.41 by
        default, and learned.
    standardized
        Whether the mixture is shifted and scaled, in each dimension and at every step, to mean 0
        and standard deviation 1, so that only its shape is learned. Decoders and encoders can do
        the same, so that no law of the data is lost.

    References
    ----------
    Dilokthanakul et al. 2016, arXiv:1611.02648

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import GaussianMixture
    >>> p = GaussianMixture(3, components=10)()
    >>> p.event_shape, p.log_prob(torch.zeros(5, 3)).shape
    (torch.Size([3]), torch.Size([5]))
    >>> p.sample((5,)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        components: Annotated[int, Field(gt=0)] = 10,
        spread: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
        standardized: Annotated[bool, LATER] = False,
    ) -> None:
        super().__init__(latent_dim)
        self.standardized = standardized
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(spread * torch.randn(components, latent_dim))
        self.raw_scale = nn.Parameter(torch.zeros(components, latent_dim))

    def forward(self) -> Distribution:
        """Return the mixture."""
        scale = softplus(self.raw_scale + _UNIT)
        if not self.standardized:
            return DiagonalNormalMixture(self.logits, self.loc, scale)
        weights = self.logits.softmax(-1)
        loc = self.loc - weights @ self.loc
        sd = (weights @ (loc.square() + scale.square())).sqrt()
        return DiagonalNormalMixture(self.logits, loc / sd, scale / sd)
