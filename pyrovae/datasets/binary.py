"""Grey images as binary ones: each element is 1 with its intensity's probability.

*Static* (Salakhutdinov & Murray 2008): drawn once, and the same for ever. *Dynamic* (Burda,
Grosse & Salakhutdinov 2016): drawn anew in each minibatch of training; what is measured sees the
static draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from pyrovae.datasets.base import as_float
from pyrovae.datasets.streamed import Streamed, blocks

#: Of the static draw.
_SEED = 0
#: Elements that are drawn at a time: their noise takes sixteen times their memory.
_AT_ONCE = 2**20


def drawn(values: Tensor | Streamed, stream: int) -> Tensor | Streamed:
    """Return the static draw, ``uint8``, 0 or 255.

    Parameters
    ----------
    values
        ``(n, *event)``, in [0, 1] as floats.
    stream
        Another number, another draw. An observation's depends on this and its place alone.
    """
    event = tuple(values.shape[1:])
    coins = _Coins(values, stream)
    if isinstance(values, Streamed):
        return Streamed(coins, torch.arange(len(values)), event, torch.uint8, values.device)
    found = torch.empty(values.shape, dtype=torch.uint8)
    for start, block in blocks(values):
        found[start : start + len(block)] = coins(np.arange(start, start + len(block)))
    return found


@dataclass(frozen=True)
class _Coins:
    values: Tensor | Streamed
    stream: int

    def __call__(self, rows: np.ndarray) -> Tensor:
        event = tuple(self.values.shape[1:])
        found = torch.empty((len(rows), *event), dtype=torch.uint8)
        step = max(1, _AT_ONCE // prod(event))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            grey = as_float(self.values[torch.from_numpy(some)])
            noise = torch.from_numpy(_uniform(some, prod(event), self.stream))
            found[start : start + step] = (noise.view(grey.shape) < grey).to(torch.uint8) * 255
        return found


def _uniform(rows: np.ndarray, size: int, stream: int) -> np.ndarray:
    """Return ``size`` uniform numbers for each row, functions of the row's number, ``float64``.

    Rows stand one after the other in the output of one counter-based generator, whose raw numbers
    NumPy promises never to change (NEP 19).
    """
    stride = -(-size // 4)  # Philox makes four numbers a count
    found = np.empty((len(rows), size))
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    for at, n in zip(starts, np.diff(starts, append=len(rows)), strict=True):
        source = np.random.Philox(key=[_SEED, stream], counter=int(rows[at]) * stride)
        raw = source.random_raw(int(n) * stride * 4).reshape(n, -1)[:, :size]
        found[at : at + n] = (raw >> np.uint64(11)) * 2.0**-53
    return found
