"""Counter-based random streams: what a run draws at step t depends on its seed and t alone.

So a run's numbers are the same alone, beside others, and after an interruption. A GPU draws its
own: other numbers than a CPU's from the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from pyrovae.core.noise import Draw, draw_one

#: Steps whose noise is drawn in one go: one call for 50 steps costs about as much as for one.
CHUNK = 50


def generator(seed: int, *names: str | int, device: torch.device | str = "cpu") -> Generator:
    """Return a generator that belongs to ``(seed, *names)`` and to nothing else."""
    digest = hashlib.sha256(repr((seed, names)).encode()).digest()
    return Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class NoiseStream:
    """The noise of a run's steps.

    Parameters
    ----------
    draws
        What the program draws in each step.
    seed
        The run's seed.
    device
        Where it is drawn.
    """

    def __init__(
        self, draws: Sequence[Draw], seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self._draws, self._seed, self._device = draws, seed, device
        self._chunk = -1
        self._tensors: list[Tensor] = []

    def at(self, step: int) -> list[Tensor]:
        """Return the tensors for step ``step``, counted from 0, one for each draw."""
        return [tensor[0] for tensor in self.span(step, 1)]

    def span(self, first: int, n: int) -> list[Tensor]:
        """Return the tensors for ``n`` steps from ``first`` on, ``(n, *shape)`` for each draw."""
        parts = []
        while n:
            chunk, offset = divmod(first, CHUNK)
            taken = min(n, CHUNK - offset)
            parts.append([tensor[offset : offset + taken] for tensor in self._drawn(chunk)])
            first, n = first + taken, n - taken
        return [torch.cat(same) if len(same) > 1 else same[0] for same in zip(*parts, strict=True)]

    def _drawn(self, chunk: int) -> list[Tensor]:
        if chunk != self._chunk:
            source = generator(self._seed, "noise", chunk, device=self._device)
            self._tensors = [draw_one(draw, source, CHUNK) for draw in self._draws]
            self._chunk = chunk
        return self._tensors


class BatchStream:
    """The minibatches of a run: one permutation of the data after the other.

    Parameters
    ----------
    n
        Size of the training set.
    batch_size
        Indices a step; a batch may reach over the end of an epoch.
    seed
        The run's seed.
    device
        Where the permutations are drawn.
    """

    def __init__(
        self, n: int, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self._n, self._batch_size, self._seed, self._device = n, batch_size, seed, device
        self._epochs: dict[int, Tensor] = {}

    def _epoch(self, number: int) -> Tensor:
        if number not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == number - 1}
            source = generator(self._seed, "batches", number, device=self._device)
            self._epochs[number] = torch.randperm(self._n, generator=source, device=self._device)
        return self._epochs[number]

    def at(self, step: int) -> Tensor:
        """Return the indices of step ``step``, counted from 0; shape ``(batch_size,)``."""
        return self.span(step, 1)[0]

    def span(self, first: int, n: int) -> Tensor:
        """Return the indices of ``n`` steps from ``first`` on; shape ``(n, batch_size)``."""
        start, stop = first * self._batch_size, (first + n) * self._batch_size
        parts = []
        for number in range(start // self._n, (stop - 1) // self._n + 1):
            before = number * self._n
            epoch = self._epoch(number)
            parts.append(epoch[max(start - before, 0) : stop - before])
        return torch.cat(parts).view(n, self._batch_size)
