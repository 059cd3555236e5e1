"""Arrays of any kind as observations: which values stand for what, and which cannot be.

==================================  =====================================
values                              taken as
==================================  =====================================
0 and 1 in whole numbers, booleans  0 and 1
``uint8``                           images: ``values / 255``
whole numbers of images, 0 to 255   the same
anything else                       ``float32``, as they are
==================================  =====================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.errors import DataError, first_line
from pyrovae.datasets.streamed import BLOCK_BYTES, Rows, Streamed, rows_of

#: Observations of so many bytes stay in their file.
STREAMED_FROM = 2**28
#: Sizes of the channel axis: grey, colours, colours and opacity.
_CHANNELS = (1, 3, 4)


def as_array(values: Any) -> np.ndarray:
    """Return an array of whatever holds numbers.

    Raises
    ------
    DataError
        For what holds none.
    """
    try:
        if isinstance(values, Tensor):
            values = values.detach().cpu().to_dense() if values.is_sparse else values.detach().cpu()
            # NumPy knows no bfloat16.
            return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        return np.asarray(values)
    except Exception as failure:
        kind = type(values).__name__
        raise DataError(f"a {kind} that is no array: {first_line(failure)}") from failure


def observations(given: Any, *, channels_last: bool = False) -> Tensor:
    """Return observations ``(n, d)`` or ``(n, c, h, w)`` as ``uint8`` or ``float32``.

    Parameters
    ----------
    given
        Whatever holds numbers, as vectors ``(n, d)``, grey images ``(n, h, w)`` or images
        ``(n, c, h, w)``.
    channels_last
        Whether images ``(n, h, w, c)`` are taken too.

    Raises
    ------
    DataError
        For anything else, with the index of the first value that cannot be.
    """
    values = as_array(given)
    return _form(values, channels_last)(values)


def read(given: Any, *, channels_last: bool = False) -> Tensor | Streamed:
    """Return :func:`observations`; large ones that are in a file stay there.

    Parameters
    ----------
    given
        As there. In a file are memory maps and data sets of h5py.
    channels_last
        As there.

    Raises
    ------
    DataError
        As there, and for a large memory map whose rows do not stand one after the other.
    """
    rows = rows_of(given)
    large = getattr(given, "nbytes", 0) >= STREAMED_FROM
    if rows is not None and large:
        return streamed(rows, channels_last=channels_last)
    if large and isinstance(given, np.memmap) and given.mode != "c":
        raise DataError(
            f"{given.nbytes:,} bytes whose rows are not one after the other: save them as "
            "numpy.ascontiguousarray makes them"
        )
    if rows is None or rows.dtype.kind not in "buif":
        return observations(given, channels_last=channels_last)
    return observations(_whole(rows), channels_last=channels_last)


def _whole(rows: Rows) -> np.ndarray:
    """Read an array part by part, so that a damaged part is told by its rows."""
    found = np.empty(rows.shape, rows.dtype)
    for start, block in _blocks(rows):
        found[start : start + len(block)] = block
    return found


def streamed(rows: Rows, *, channels_last: bool = False) -> Streamed:
    """Return the observations in a file as :func:`observations` would, without holding them.

    Raises
    ------
    DataError
        As there.
    """
    form = _form(rows, channels_last)
    event = form(np.zeros((1, *rows.shape[1:]), rows.dtype)).shape[1:]
    n = torch.arange(rows.shape[0])
    return Streamed(_Read(rows, form), n, tuple(event), form.dtype)


@dataclass(frozen=True)
class _Form:
    """How an array's values become observations.

    Attributes
    ----------
    dtype
        ``torch.uint8`` or ``torch.float32``.
    coins
        Whether they are 0 and 1.
    grey
        Whether the channel is missing.
    channels_last
        Whether it is the last axis.
    """

    dtype: torch.dtype
    coins: bool
    grey: bool
    channels_last: bool

    def __call__(self, values: np.ndarray) -> Tensor:
        with np.errstate(over="ignore"):
            taken: np.ndarray = values.astype(
                np.uint8 if self.dtype == torch.uint8 else np.float32, copy=False
            )
        taken = np.where(taken, np.uint8(255), np.uint8(0)) if self.coins else taken
        taken = taken[:, None] if self.grey else taken
        taken = taken.transpose(0, 3, 1, 2) if self.channels_last else taken
        return torch.from_numpy(np.ascontiguousarray(taken))


@dataclass(frozen=True)
class _Read:
    rows: Rows
    form: _Form

    def __call__(self, index: np.ndarray) -> Tensor:
        return self.form(self.rows(index))


def _form(values: np.ndarray | Rows, channels_last: bool) -> _Form:
    """Look at all values, and return how they are taken."""
    shape, kind = values.shape, values.dtype.kind
    if kind not in "buif":
        raise DataError(f"{values.dtype} of shape {shape}: must be real numbers")
    if len(shape) not in (2, 3, 4):
        raise DataError(
            f"an array of shape {shape}: must be (n, d), (n, height, width) or "
            "(n, channels, height, width)"
        )
    if 0 in shape:
        raise DataError(f"an empty array, of shape {shape}")
    last = len(shape) == 4 and shape[-1] in _CHANNELS and shape[1] not in _CHANNELS
    if last and not channels_last:
        raise DataError(
            f"images of shape {shape}, channels last: must be (n, channels, height, width), "
            "as .transpose(0, 3, 1, 2) makes them"
        )
    if kind == "f":
        _check_finite(values)
        return _Form(torch.float32, False, len(shape) == 3, last)
    found = [(int(block.min()), int(block.max())) for _, block in _blocks(values)]
    low, high = min(low for low, _ in found), max(high for _, high in found)
    coins = low >= 0 and high <= 1
    grey = len(shape) > 2 and low >= 0 and high <= 255
    small = coins or grey or values.dtype == np.uint8
    return _Form(torch.uint8 if small else torch.float32, coins, len(shape) == 3, last)


def _blocks(values: np.ndarray | Rows) -> Iterator[tuple[int, np.ndarray]]:
    n = values.shape[0]
    step = max(1, BLOCK_BYTES // max(1, prod(values.shape[1:]) * values.dtype.itemsize))
    for start in range(0, n, step):
        stop = min(start + step, n)
        if isinstance(values, np.ndarray):
            yield start, values[start:stop]
        else:
            yield start, values(np.arange(start, stop))


def _check_finite(values: np.ndarray | Rows) -> None:
    first, told, count = None, "", 0
    for start, block in _blocks(values):
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(block.astype(np.float32))
        if bad.any():
            count += int(bad.sum())
            if first is None:
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                first = [start + place[0], *place[1:]]
                why = "" if not np.isfinite(block[place]) else ", which is beyond float32"
                told = f"{block[place]} at {first}{why}"
    if first is not None:
        others = f", and {count - 1} more such values" if count > 1 else ""
        raise DataError(f"{told}{others}: must be finite numbers")
