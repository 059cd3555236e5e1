"""Independent laws of the columns of one datum, each of a family of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints, kl_divergence, register_kl

from pyrovae.distributions.marginals import marginals


class Columns(TorchDistribution):
    """Laws side by side: log p(x) is the sum over groups of neighbouring columns.

    Parameters
    ----------
    laws
        Of one batch shape ``(*b,)``, each with the event shape ``(k,)`` of its group.
    event_shape
        Of the whole, whose elements in row-major order are the columns; by default the vector
        of all.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        laws: Sequence[Distribution],
        event_shape: Sequence[int] | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.laws = list(laws)
        self._sizes = [law.event_shape[0] for law in self.laws]
        shape = torch.Size(event_shape or (sum(self._sizes),))
        if math.prod(shape) != sum(self._sizes):
            raise ValueError(f"laws of {sum(self._sizes)} columns for an event of shape {shape}")
        super().__init__(self.laws[0].batch_shape, shape, validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:
        """Whether all laws have differentiable draws."""
        return all(law.has_rsample for law in self.laws)

    @constraints.dependent_property
    def support(self) -> Any:
        """Where each group is in the support of its law."""
        return _Groups(self)

    def expand(self, batch_shape: torch.Size, _instance: Columns | None = None) -> Columns:
        """Return the same laws with a larger batch shape."""
        new = self._get_checked_instance(Columns, _instance)
        new.laws, new._sizes = [law.expand(batch_shape) for law in self.laws], self._sizes
        super(Columns, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def groups(self, value: Tensor) -> tuple[Tensor, ...]:
        """Return the columns of each law, ``(*s, k)``, of values ``(*s, *event_shape)``."""
        return value.flatten(-len(self.event_shape)).split(self._sizes, -1)

    def whole(self, groups: Sequence[Tensor]) -> Tensor:
        """Return values ``(*s, *event_shape)`` of the columns of each law, ``(*s, k)``."""
        return torch.cat(list(groups), -1).unflatten(-1, self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density with respect to each column's own measure, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        pairs = zip(self.laws, self.groups(value), strict=True)
        return torch.stack([law.log_prob(group) for law, group in pairs]).sum(0)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, *event_shape)``."""
        return self.whole([law.sample(torch.Size(sample_shape)) for law in self.laws])

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return differentiable draws, where every law has them."""
        return self.whole([law.rsample(torch.Size(sample_shape)) for law in self.laws])

    @property
    def mean(self) -> Tensor:
        """Of each column."""
        return self.whole([law.mean for law in self.laws])

    @property
    def variance(self) -> Tensor:
        """Of each column."""
        return self.whole([law.variance for law in self.laws])


class Units(TorchDistribution):
    """The marginals of :class:`Columns`: laws of single numbers, groups of them side by side.

    Parameters
    ----------
    laws
        Marginals of each group, batch ``(*b, k)``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, laws: Sequence[Distribution]) -> None:
        self.laws = list(laws)
        self._sizes = [law.batch_shape[-1] for law in self.laws]
        *batch, _ = self.laws[0].batch_shape
        super().__init__(torch.Size([*batch, sum(self._sizes)]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of each number with respect to its own measure, in nats."""
        pairs = zip(self.laws, value.split(self._sizes, -1), strict=True)
        return torch.cat([law.log_prob(part) for law, part in pairs], -1)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *b, d)``."""
        return torch.cat([law.sample(torch.Size(sample_shape)) for law in self.laws], -1)


@marginals.register
def _(distribution: Columns) -> Distribution:
    if len(distribution.event_shape) != 1:
        raise NotImplementedError("marginals are defined for vectors: one event dimension")
    return Units([marginals(law) for law in distribution.laws])


@register_kl(Columns, Columns)
def _kl_columns(q: Columns, p: Columns) -> Tensor:
    return torch.stack([kl_divergence(a, b) for a, b in zip(q.laws, p.laws, strict=True)]).sum(0)


@register_kl(Units, Units)
def _kl_units(q: Units, p: Units) -> Tensor:
    parts = [kl_divergence(a, b) for a, b in zip(q.laws, p.laws, strict=True)]
    return torch.cat(parts, -1)


class _Groups(constraints.Constraint):
    """The support of :class:`Columns`."""

    def __init__(self, law: Columns) -> None:
        self._law = law
        self._supports: list[Any] = [each.support for each in law.laws]

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return len(self._law.event_shape)

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return all(support.is_discrete for support in self._supports)

    def check(self, value: Tensor) -> Tensor:
        pairs = zip(self._supports, self._law.groups(value), strict=True)
        return torch.stack([support.check(group) for support, group in pairs]).all(0)
