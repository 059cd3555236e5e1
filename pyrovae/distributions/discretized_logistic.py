"""A logistic law rounded to a grid of levels on [0, 1]."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all
from torch.nn.functional import logsigmoid


class DiscretizedLogistic(TorchDistribution):
    """Probability of each level k / (levels - 1) under a logistic law; the end bins are open.

    P(x) = sigmoid((x + h - loc) / scale) - sigmoid((x - h - loc) / scale), h half a bin, with the
    first term 1 at x = 1 and the second 0 at x = 0 (Salimans et al. 2017, eq. 2,
    arXiv:1701.05517).

    Parameters
    ----------
    loc, scale
        Of the logistic law, in units of the whole range; broadcast to the batch shape.
    levels
        Number of grey values.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    # The grid itself is not checked: an image of another depth counts for the bin around its value.
    support = constraints.unit_interval

    def __init__(
        self, loc: Tensor, scale: Tensor, levels: int = 256, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        self.levels = levels
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: DiscretizedLogistic | None = None
    ) -> DiscretizedLogistic:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(DiscretizedLogistic, _instance)
        new.loc, new.scale = self.loc.expand(batch_shape), self.scale.expand(batch_shape)
        new.levels = self.levels
        super(DiscretizedLogistic, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the bin around ``value``, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        half = 0.5 / (self.levels - 1)
        upper = (value + half - self.loc) / self.scale
        lower = (value - half - self.loc) / self.scale
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no cancellation.
        inner = (
            logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-2 * half / self.scale))
        )
        # A quarter of a bin: the end levels are the only ones that are nearer than that.
        at_end = torch.where(value > 1 - half / 2, logsigmoid(-lower), inner)
        return torch.where(value < half / 2, logsigmoid(upper), at_end)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)``, each one of the levels."""
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
            z = self.loc + self.scale * u.logit()
            return (z * (self.levels - 1)).round().clamp(0, self.levels - 1) / (self.levels - 1)

    def _edges(self) -> Tensor:
        """Return the bins' inner edges, shape ``(levels - 1,)``."""
        steps = torch.arange(1, self.levels, dtype=self.loc.dtype, device=self.loc.device)
        return (steps - 0.5) / (self.levels - 1)

    @property
    def mean(self) -> Tensor:
        """E[x] = the sum over levels k > 0 of P(x >= k), over levels - 1."""
        total = torch.zeros_like(self.loc)
        # One edge after the other: all at once would need 255 times the images' memory.
        for edge in self._edges():
            total = total + torch.sigmoid((self.loc - edge) / self.scale)
        return total / (self.levels - 1)

    @property
    def variance(self) -> Tensor:
        """E[x²] - E[x]², with E[k²] = the sum over k > 0 of (2k - 1) P(x >= k)."""
        total = torch.zeros_like(self.loc)
        for k, edge in enumerate(self._edges(), start=1):
            total = total + (2 * k - 1) * torch.sigmoid((self.loc - edge) / self.scale)
        return total / (self.levels - 1) ** 2 - self.mean**2
