"""A law of x that is made of laws of its pieces, independent given the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


class Pieces(TorchDistribution):
    """Laws of parts of x: log p(x) is their sum.

    Parameters
    ----------
    laws
        Of one batch shape ``b`` each.
    places
        Elements of x, in row-major order, that each law is of, in the order of its own elements.
    event_shape
        Of x, of which every element has one law.

    Examples
    --------
    >>> import pyro.distributions as dist, torch
    >>> first, second = dist.Normal(torch.zeros(3), 1.0), dist.Normal(torch.ones(3, 2), 1.0)
    >>> places = [torch.tensor([1]), torch.tensor([0, 2])]
    >>> law = Pieces([first, second.to_event(1)], places, (3,))
    >>> law.mean[0].tolist(), law.log_prob(torch.zeros(5, 3, 3)).shape
    ([1.0, 0.0, 1.0], torch.Size([5, 3]))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, laws: Sequence[Distribution], places: Sequence[Tensor], event_shape: tuple[int, ...]
    ) -> None:
        self.laws, self._places = list(laws), list(places)
        super().__init__(self.laws[0].batch_shape, Size(event_shape), validate_args=False)

    @property
    def has_rsample(self) -> bool:
        """Whether all laws have differentiable draws."""
        return all(law.has_rsample for law in self.laws)

    @property
    def support(self) -> Any:
        """All arrays: where each piece lives is up to its law."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of values ``(*s, *b, *event_shape)`` in nats, ``(*s, *b)``."""
        flat = value.flatten(-len(self.event_shape))
        logs = [
            law.log_prob(flat[..., place].unflatten(-1, law.event_shape or (1,)))
            if law.event_shape
            else law.log_prob(flat[..., place].squeeze(-1))
            for law, place in zip(self.laws, self._places, strict=True)
        ]
        return sum(logs[1:], logs[0])

    def _whole(self, of: Callable[[Distribution], Tensor], leading: Sequence[int] = ()) -> Tensor:
        batch = (*leading, *self.batch_shape)
        parts = [of(law).reshape(*batch, -1) for law in self.laws]
        order = torch.cat(self._places).argsort()
        return torch.cat(parts, -1)[..., order].reshape(*batch, *self.event_shape)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw, ``(*sample_shape, *b, *event_shape)``."""
        return self._whole(lambda law: law.sample(Size(sample_shape)), sample_shape)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw with derivatives, where every law can."""
        return self._whole(lambda law: law.rsample(Size(sample_shape)), sample_shape)

    @property
    def mean(self) -> Tensor:
        """Mean of x, ``(*b, *event_shape)``."""
        return self._whole(lambda law: law.mean)

    @property
    def variance(self) -> Tensor:
        """Variance of each element, ``(*b, *event_shape)``."""
        return self._whole(lambda law: law.variance)
