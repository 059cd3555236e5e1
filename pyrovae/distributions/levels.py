"""A law over levels in a row, each with a probability of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class Levels(TorchDistribution):
    """Probability of each of K levels: the numbers k / (K - 1) on [0, 1], or the codes k.

    Parameters
    ----------
    logits
        Shape ``(*b, K)``, K > 1; probabilities are their softmax.
    unit
        Whether levels are k / (K - 1), else k, for k = 0 … K - 1. On [0, 1] the grid itself is not
        checked: a number between two levels counts for the nearer.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self, logits: Tensor, *, unit: bool = True, validate_args: bool | None = None
    ) -> None:
        self.logits, self.unit = logits, unit
        super().__init__(logits.shape[:-1], validate_args=validate_args)

    @property
    def levels(self) -> int:
        """K."""
        return self.logits.shape[-1]

    @constraints.dependent_property(event_dim=0)
    def support(self) -> Any:
        """[0, 1], or the codes."""
        if self.unit:
            return constraints.unit_interval
        return constraints.integer_interval(0, self.levels - 1)

    def expand(self, batch_shape: torch.Size, _instance: Levels | None = None) -> Levels:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(Levels, _instance)
        new.logits, new.unit = self.logits.expand((*batch_shape, self.levels)), self.unit
        super(Levels, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def _step(self) -> float:
        return 1 / (self.levels - 1) if self.unit else 1.0

    @property
    def values(self) -> Tensor:
        """The levels, ``(K,)``."""
        every = torch.arange(self.levels, dtype=self.logits.dtype, device=self.logits.device)
        return every * self._step

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the level at ``value``, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        index = (value / self._step).round().long().clamp(0, self.levels - 1)
        shape = torch.broadcast_shapes(index.shape, self.batch_shape)
        logs = self.logits.log_softmax(-1).expand(*shape, self.levels)
        return logs.gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)``, each a function of one uniform number."""
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
            return self.icdf(u)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the lowest level whose cumulative probability is above ``value``."""
        below = self.logits.softmax(-1).cumsum(-1)[..., :-1] <= value.unsqueeze(-1)
        return below.sum(-1).to(value.dtype) * self._step

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return the levels, ``(K, *batch)``, or ``(K, 1, …)``."""
        every = self.values.reshape(-1, *(1 for _ in self.batch_shape))
        return every.expand(self.levels, *self.batch_shape) if expand else every

    @property
    def mean(self) -> Tensor:
        """The expected level: for codes that have an order."""
        return (self.logits.softmax(-1) * self.values).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The most probable level, the lowest of those that are."""
        return self.logits.argmax(-1).to(self.logits.dtype) * self._step

    @property
    def variance(self) -> Tensor:
        """Of the level, about :attr:`mean`."""
        off = self.values - self.mean.unsqueeze(-1)
        return (self.logits.softmax(-1) * off.square()).sum(-1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        logs = self.logits.log_softmax(-1)
        return -(logs.exp() * logs).sum(-1)
