"""A law with another batch shape: what Pyro's plates add, and what a flat batch has lost."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent


class Rebatched(Distribution):
    """A law of batch shape ``(n,)`` seen with batch shape ``b``, where ``b`` has n elements.

    It knows log-densities, draws and moments; what kind of law is inside does not show.

    Parameters
    ----------
    law
        Batch shape ``(n,)``.
    batch_shape
        ``b``.
    """

    def __init__(self, law: Distribution, batch_shape: Size | tuple[int, ...]) -> None:
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
        """Return the log-density, ``(*s, *b)``, at values ``(*s, *b, *event)``."""
        inner = self.batch_shape + self.event_shape
        full = value.expand(torch.broadcast_shapes(value.shape, inner))
        leading = full.shape[: full.dim() - len(inner)]
        n = math.prod(self.batch_shape)
        flat = self._law.log_prob(full.reshape(*leading, n, *self.event_shape))
        return flat.reshape(*leading, *self.batch_shape)


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
