"""A sparse prior: most dimensions of a code are near zero."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.normal_mixture import NormalMixture
from pyrovae.errors import ConfigError
from pyrovae.priors.base import PRIORS
from pyrovae.priors.factorized import Factorized


@PRIORS.register(
    "spike_slab",
    source="Tonolini, Jensen & Murray-Smith 2020, Variational sparse coding, PMLR 115 (relaxed)",
)
class SpikeSlab(Factorized):
    """Each dimension is N(0, slab²) with a given probability, else a narrow N(0, spike²).

    The point mass of the original has a width here, so that p(z) is a density and any posterior
    family may be used with it.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    probability
        Of the slab: the expected share of dimensions in use.
    spike, slab
        Standard deviations; the spike's must be the smaller.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        probability: Annotated[float, Field(gt=0, lt=1)] = 0.3,
        spike: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.05,
        slab: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
    ) -> None:
        super().__init__(latent_dim)
        if spike >= slab:
            raise ConfigError(
                f"prior 'spike_slab': the spike must be narrower than the slab, got {spike} and "
                f"{slab}",
                "spike",
            )
        self.probability, self.spike, self.slab = probability, spike, slab

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` mixtures."""
        return NormalMixture(
            _columns(self.zero, [math.log1p(-self.probability), math.log(self.probability)]),
            _columns(self.zero, [0.0, 0.0]),
            _columns(self.zero, [self.spike, self.slab]),
        ).to_event(1)


def _columns(like: Tensor, values: list[float]) -> Tensor:
    """Return ``(latent_dim, len(values))``, each column constant."""
    return torch.stack([torch.full_like(like, value) for value in values], -1)
