"""The logistic law, with what Pyro's lacks: draws that are always finite, and an entropy."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor


class Logistic(dist.Logistic):
    """Logistic(loc, scale), of variance (pi scale)² / 3.

    Source: Johnson, Kotz & Balakrishnan 1995, Continuous Univariate Distributions, vol. 2, ch. 23.
    """

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)`` by inversion.

        Uniform noise can be exactly 0, where the quantile is -inf: it is moved by half of its own
        spacing.
        """
        u = self.loc.new_empty(self._extended_shape(sample_shape)).uniform_()
        half = torch.finfo(u.dtype).eps / 4
        return self.icdf(u.clamp(half, 1 - torch.finfo(u.dtype).eps))

    def entropy(self) -> Tensor:
        """Return log scale + 2, in nats; shape ``batch``."""
        return self.scale.log() + 2
