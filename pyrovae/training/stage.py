"""Where a step takes its minibatch from: the training set, or what was read of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyrovae.core.given import Given
from pyrovae.datasets.streamed import Streamed
from pyrovae.training.streams import CHUNK

#: What is read of a file at a time, at most, unless a single step takes more.
_BYTES = 2**26


class Stage:
    """The training set where it is in memory; else the minibatches of the next steps.

    So a step does the same to the same numbers in either case.

    Parameters
    ----------
    source
        The training set, ``(n, *event_shape)``, with its context where it has one.
    batch
        Observations a step, of all models that train together.

    Attributes
    ----------
    data
        What the step's indices are about; stays where it is. With a context, ``x`` and ``context``
        by name.
    steps
        The most steps that it is prepared for at a time.
    """

    def __init__(self, source: Tensor | Streamed | Given, batch: int) -> None:
        self._source: Streamed | Given | None = None
        self._next: Tensor | Given | None = None
        rows = source.x if isinstance(source, Given) else source
        self.data: Tensor | dict[str, Tensor]
        if isinstance(rows, Tensor):
            self.data, self.steps = _named(source), CHUNK
            return
        assert not isinstance(source, Tensor)
        self._source = source
        self.steps = max(1, min(CHUNK, _BYTES // (batch * rows.row_bytes)))
        shape = (self.steps * batch, *rows.shape[1:])
        self.data = torch.zeros(shape, dtype=rows.dtype, device=rows.device)
        if isinstance(source, Given):
            context = source.context.new_zeros(len(self.data), source.context.shape[1])
            self.data = {"x": self.data, "context": context}

    def prepare(self, index: Tensor) -> Tensor:
        """Read what these indices of the training set, of any shape, are about.

        Returns
        -------
        Tensor
            Indices of :attr:`data` that stand for them once it was entered.
        """
        if self._source is None:
            return index
        self._next = self._source[index.reshape(-1)]
        return torch.arange(index.numel(), device=index.device).view(index.shape)

    def enter(self) -> None:
        """Put what was prepared last in place, for the next steps."""
        if self._next is None:
            return
        places, found = _named(self.data), _named(self._next)
        if isinstance(places, Tensor):
            places[: len(found)].copy_(found)
        else:
            for name, place in places.items():
                place[: len(found[name])].copy_(found[name])
        self._next = None


def _named(data: Any) -> Any:
    """Return data as a step takes them: a tensor, or tensors by name."""
    return {"x": data.x, "context": data.context} if isinstance(data, Given) else data
