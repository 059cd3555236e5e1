"""The uniform law on the unit sphere as prior."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.sphere import HypersphericalUniform as Law
from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("hyperspherical_uniform")
class HypersphericalUniform(Prior):
    r"""Uniform on the unit sphere S^(d-1): no centre that draws codes towards it.

    .. math:: p(z) = \frac{\Gamma(d/2)}{2 \pi^{d/2}}, \quad z \in S^{d-1}

    Parameters
    ----------
    latent_dim
        Dimension ``d`` of the space that the sphere is in; at least 2.

    References
    ----------
    Davidson et al. 2018, sec. 3; arXiv:1804.00891

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import HypersphericalUniform
    >>> p = HypersphericalUniform(3)()
    >>> p.event_shape, p.log_prob(torch.eye(3))  # -log(4 pi)
    (torch.Size([3]), tensor([-2.5310, -2.5310, -2.5310]))
    """

    space = "sphere"
    smallest_latent_dim = 2
    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> Distribution:
        """Return the uniform law."""
        return Law(self.zero)
