"""The uniform law on the unit sphere as prior."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.sphere import HypersphericalUniform as Law
from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("hyperspherical_uniform", source="Davidson et al. 2018, sec. 3; arXiv:1804.00891")
class HypersphericalUniform(Prior):
    """Uniform on the unit sphere S^(d-1): no centre that draws codes towards it."""

    space = "sphere"
    smallest_latent_dim = 2
    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> Distribution:
        """Return the uniform law."""
        return Law(self.zero)
