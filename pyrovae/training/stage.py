"""Where a step takes its minibatch from: the training set, or what was read of it."""

from __future__ import annotations

import torch
from torch import Tensor

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
        The training set, ``(n, *event_shape)``.
    batch
        Observations a step, of all models that train together.

    Attributes
    ----------
    data
        What the step's indices are about; stays where it is.
    steps
        The most steps that it is prepared for at a time.
    """

    def __init__(self, source: Tensor | Streamed, batch: int) -> None:
        self._source: Streamed | None = None
        self._next: Tensor | None = None
        if isinstance(source, Tensor):
            self.data, self.steps = source, CHUNK
            return
        self._source = source
        self.steps = max(1, min(CHUNK, _BYTES // (batch * source.row_bytes)))
        shape = (self.steps * batch, *source.shape[1:])
        self.data = torch.zeros(shape, dtype=source.dtype, device=source.device)

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
        if self._next is not None:
            self.data[: len(self._next)].copy_(self._next)
            self._next = None
