"""Data as named tensors: ``x``, and the ``context`` that belongs to each datum where there is any.

Data without a context are a plain tensor, and nothing here changes them. Data with one are a
:class:`Given`, which is indexed, split and moved as a tensor is, both parts together. Programs are
handed a context only where the data have one: laws by name, ``vae.encode(observed(data),
**given(data))``, and Pyro programs by position, ``vae.model(*arguments(data))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree


@dataclass(frozen=True, eq=False)
class Given:
    """Observations, and what each of them is given.

    Attributes
    ----------
    x
        ``(n, *event_shape)``; may stay in its file (:class:`pyrovae.datasets.streamed.Streamed`).
    context
        ``(n, k)``, ``float32``.
    """

    x: Any
    context: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Given:
        return Given(self.x[index], self.context[index])

    @property
    def device(self) -> torch.device:
        """Where the observations are."""
        found: torch.device = self.x.device
        return found

    def to(self, *place: Any) -> Given:
        """Return both parts on a device."""
        return Given(self.x.to(*place), self.context.to(*place))

    def split(self, size: int) -> Iterator[Given]:
        """Yield some data at a time, in order."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


_pytree.register_pytree_node(
    Given,
    lambda data: ([data.x, data.context], None),
    lambda parts, _: Given(*parts),
    serialized_type_name="pyrovae.Given",
)

#: Observations, with their context where there is any.
Data = Tensor | Given


def observed(data: Any) -> Any:
    """Return the observations alone."""
    return data.x if isinstance(data, Given) else data


def given(data: Any) -> dict[str, Any]:
    """Return what programs are told besides, by name: nothing, or the ``context``.

    >>> given(torch.zeros(2, 3))
    {}
    >>> given(Given(torch.zeros(2, 3), torch.ones(2, 1)))["context"].shape
    torch.Size([2, 1])
    """
    return {"context": data.context} if isinstance(data, Given) else {}


def arguments(data: Any) -> tuple[Any, ...]:
    """Return what Pyro programs are called with: ``(x,)`` or ``(x, context)``.

    By position, as Pyro's effect handlers have a parameter of their own that is called ``context``.
    """
    return (data.x, data.context) if isinstance(data, Given) else (data,)


def beside(x: Any, data: Any) -> Any:
    """Return observations ``x`` with the context that ``data`` have, if they have one."""
    return Given(x, data.context) if isinstance(data, Given) else x


def repeated(data: Any, times: int) -> Any:
    """Return all data so many times, one copy after the other."""
    if isinstance(data, Given):
        return Given(repeated(data.x, times), data.context.repeat(times, 1))
    return data.repeat(times, *[1] * (data.dim() - 1))
