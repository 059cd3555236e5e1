"""The half-Cauchy law, with what it says of its mean."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor


class HalfCauchy(dist.HalfCauchy):
    """HalfCauchy(scale), whose mean is undefined as that of ``torch``'s Cauchy is, not infinite.

    Pyro's ``init_to_mean`` then starts from the median; it would start at infinity.
    """

    @property
    def mean(self) -> Tensor:
        """NaN, shape ``batch``."""
        return torch.full_like(self.scale, torch.nan)
