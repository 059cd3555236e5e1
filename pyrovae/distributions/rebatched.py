"""A law with another batch shape: what Pyro's plates add, and what a flat batch has lost."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import Distribution, Independent


class Rebatched(TorchDistribution):
    """A law of batch shape ``(n,)`` seen with batch shape ``b``, where ``b`` has n elements.

    It knows log-densities, draws, moments and entropy; what kind of law is inside does not show.

    Parameters
    ----------
    law
        Batch shape ``(n,)``; any of torch's.
    batch_shape
        ``b``.

    Raises
    ------
    ValueError
        If ``b`` does not have n elements.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, law: Distribution, batch_shape: Size | tuple[int, ...]) -> None:
        if law.batch_shape.numel() != Size(batch_shape).numel():
            was, asked = tuple(law.batch_shape), tuple(batch_shape)
            raise ValueError(f"{law} has batch shape {was}, which does not fill {asked}")
        self._law = law
        self.has_rsample = law.has_rsample
        super().__init__(Size(batch_shape), law.event_shape, validate_args=False)

    @classmethod
    def of(cls, law: Distribution, batch_shape: Size | tuple[int, ...]) -> Distribution:
        """Return the law with that batch shape: itself, if it has it already."""
        return law if law.batch_shape == Size(batch_shape) else cls(law, batch_shape)

    @property
    def support(self) -> Any:
        """That of the law."""
        return self._law.support

    @property
    def mean(self) -> Tensor:
        """Mean, ``(*b, *event)``."""
        return self._shaped(self._law.mean)

    @property
    def variance(self) -> Tensor:
        """Variance, ``(*b, *event)``."""
        return self._shaped(self._law.variance)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, ``b``; it raises what that of the law raises."""
        return self._law.entropy().reshape(self.batch_shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._law}, {tuple(self.batch_shape)})"

    def _shaped(self, value: Tensor, *leading: int) -> Tensor:
        return value.reshape(*leading, *self.batch_shape, *self.event_shape)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw, ``(*sample_shape, *b, *event)``."""
        return self._shaped(self._law.rsample(Size(sample_shape)), *sample_shape)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw without derivatives, ``(*sample_shape, *b, *event)``."""
        with torch.no_grad():
            return self._shaped(self._law.sample(Size(sample_shape)), *sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density, ``(*s, *b)``, at values that fill ``(*s, *b, *event)``."""
        inner = self.batch_shape + self.event_shape
        full = value.expand(torch.broadcast_shapes(value.shape, inner))
        leading = full.dim() - len(inner)
        # Where ``b`` is 1, values may have more: those dimensions are further values of one law.
        sizes = (*(1 for _ in range(leading)), *self.batch_shape)
        free = [i for i, size in enumerate(sizes) if size == 1]
        order = free + [i for i, size in enumerate(sizes) if size != 1]
        moved = full.permute(*order, *range(len(order), full.dim()))
        rows = moved.reshape(*moved.shape[: len(free)], -1, *self.event_shape)
        found = self._law.log_prob(rows).reshape(moved.shape[: len(order)])
        return found.permute(*(order.index(i) for i in range(len(order))))


def without_batch(law: Distribution) -> Distribution:
    """Return a law of batch shape ``(1,)`` with batch shape ``()``, of the same family if possible.

    The family is what closed forms and marginals go by.
    """
    if not law.batch_shape:
        return law
    try:
        return _first(law)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return Rebatched(law, ())


def _first(law: Distribution) -> Distribution:
    """Return the first element along the first batch dimension, rebuilt from its parameters."""
    family: Any = type(law)
    if isinstance(law, Independent):
        return family(_first(law.base_dist), law.reinterpreted_batch_ndims)
    parameters = {name: vars(law)[name][0] for name in law.arg_constraints if name in vars(law)}
    if not parameters:
        raise NotImplementedError(f"{family.__name__} is not made of parameters alone")
    first: Distribution = family(**parameters)
    if first.batch_shape != law.batch_shape[1:] or first.event_shape != law.event_shape:
        raise ValueError(f"the parameters of {family.__name__} do not all have its batch shape")
    return first
