"""Observations that stay in their file: rows are read when they are asked for.

They are read, not mapped into memory: what a process maps counts as its own, page by page, until
nothing else fits.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading

#: What is handled at a time.
BLOCK_BYTES = 2**24
#: Of compressed chunks that are kept: rows of one chunk follow each other.
_CACHE_BYTES = 2**26


class Stamp(NamedTuple):
    """What tells whether a file is still the one that was looked at."""

    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file as it is now."""
        about = os.stat(path)
        return cls(about.st_size, about.st_mtime_ns)

    def check(self, path: Path) -> None:
        """Refuse a file that was written since.

        Raises
        ------
        DataError
            If it was: runs would be trained on other data than their identity says.
        """
        with reading(path, "there any more"):
            if Stamp.of(path) != self:
                raise DataError(f"{path} was changed while it was being used")


class Rows(Protocol):
    """An array in a file, of which some rows can be read."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""

    @property
    def dtype(self) -> np.dtype:
        """Of its elements."""

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Read the rows of these numbers, which are distinct and rise."""


@dataclass(frozen=True)
class PlainRows:
    """Rows of a C-ordered array that stands in a file as plain bytes.

    Attributes
    ----------
    path, offset
        The file, and where in it the array begins.
    shape, dtype
        Of the array.
    stamp
        Of the file.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    stamp: Stamp

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Read the rows of these numbers, which are distinct and rise."""
        self.stamp.check(self.path)
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        size = prod(self.shape[1:]) * self.dtype.itemsize
        view = found.reshape(-1).view(np.uint8).data
        with (
            reading(self.path, f"an array of shape {self.shape}"),
            self.path.open("rb", buffering=0) as stream,
        ):
            for at, first, n in _runs(rows):
                stream.seek(self.offset + first * size)
                _fill(stream, view[at * size : (at + n) * size])
        return found


@dataclass(frozen=True)
class Hdf5Rows:
    """Rows of a data set in an HDF5 file, compressed ones too.

    Attributes
    ----------
    path, key
        The file, and the data set's name in it.
    shape, dtype
        Of the array.
    stamp
        Of the file.
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    stamp: Stamp

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Read the rows of these numbers, which are distinct and rise."""
        self.stamp.check(self.path)
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with reading(self.path, "an HDF5 file"), _open(self.path) as file:
            for at, first, n in _runs(rows):
                with reading(self.path, f"readable in rows {first} to {first + n} of {self.key!r}"):
                    file[self.key].read_direct(found, np.s_[first : first + n], np.s_[at : at + n])
        return found


def rows_of(array: Any) -> Rows | None:
    """Return the rows of an array that is in a file: a memory map, or a data set of h5py.

    ``None`` for any other, for one of less than two dimensions, and for a memory map that does not
    stand in its file row by row, or was changed in memory alone.
    """
    if isinstance(array, np.memmap):
        return _mapped(array)
    h5py = sys.modules.get("h5py")  # who has such a data set has imported it
    if h5py is None or not isinstance(array, h5py.Dataset) or len(array.shape or ()) < 2:
        return None
    path, dtype = Path(array.file.filename), array.dtype
    chunked = array.chunks or array.external or array.is_virtual
    offset = None if chunked or dtype.kind not in "buif" else array.id.get_offset()
    if offset is None:
        return Hdf5Rows(path, array.name.lstrip("/"), array.shape, dtype, Stamp.of(path))
    return PlainRows(path, offset, array.shape, dtype, Stamp.of(path))


def _mapped(array: np.memmap) -> PlainRows | None:
    path, start = getattr(array, "filename", None), getattr(array, "offset", None)
    if path is None or start is None or array.mode == "c" or array.ndim < 2:
        return None
    if not array.flags.c_contiguous or array.dtype.hasobject:
        return None
    if array.mode != "r":
        array.flush()
    # Of a part of a map, numpy tells where the whole begins.
    page = np.frombuffer(array._mmap, np.uint8)  # type: ignore[attr-defined]
    begin = start - start % mmap.ALLOCATIONGRANULARITY
    offset = begin + array.ctypes.data - page.ctypes.data
    return PlainRows(Path(path), offset, array.shape, array.dtype, Stamp.of(path))


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield where a run of successive numbers begins in ``rows``, its first number and length."""
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    lengths = np.diff(starts, append=len(rows))
    yield from zip(starts.tolist(), rows[starts].tolist(), lengths.tolist(), strict=True)


def _fill(stream: Any, view: memoryview) -> None:
    done = 0
    while done < len(view):
        n = stream.readinto(view[done:])
        if not n:
            raise ValueError("it ends too early")
        done += n


def _open(path: Path) -> Any:
    import h5py  # slow to import

    return h5py.File(path, "r", rdcc_nbytes=_CACHE_BYTES)


class Streamed:
    """What data sets and training need of a tensor of observations, without its memory.

    Indexed by a slice, an index array or an index tensor, it reads and returns a tensor.

    Parameters
    ----------
    read
        Reads the rows of a file whose numbers, distinct and rising, it is given; ``(k, …)``.
        Processes are sent it.
    rows
        The rows that these observations are, in their order; ``(n,)``.
    event
        Shape of one observation.
    dtype
        ``torch.uint8`` or ``torch.float32``; see :class:`pyrovae.datasets.Split`.
    device
        Where what is read is put.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], Tensor],
        rows: Tensor,
        event: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        self._read, self._rows, self._event = read, rows, event
        self.dtype, self.device = dtype, torch.device(device)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """``(n, *event)``."""
        return torch.Size((len(self), *self._event))

    @property
    def row_bytes(self) -> int:
        """Size of one observation in memory."""
        return prod(self._event) * self.dtype.itemsize

    def __getitem__(self, index: slice | Tensor | np.ndarray) -> Tensor:
        rows = self._rows[_index(index)]
        distinct, places = torch.unique(rows, return_inverse=True)
        values = self._read(distinct.numpy()).reshape(-1, *self._event)
        # A slice of a file is in order: no copy is needed.
        in_order = len(rows) == len(distinct) and bool((places.diff() == 1).all())
        return (values if in_order else values[places]).to(self.device)

    def narrowed(self, index: slice | Tensor | np.ndarray) -> Streamed:
        """Return some of the observations, still in their file."""
        return Streamed(self._read, self._rows[_index(index)], self._event, self.dtype, self.device)

    def flatten(self, start: int) -> Streamed:
        """Return the observations as vectors; ``start`` is 1."""
        assert start == 1
        return Streamed(self._read, self._rows, (prod(self._event),), self.dtype, self.device)

    def to(self, device: torch.device | str) -> Streamed:
        """Return the observations such that what is read of them is put on a device."""
        return Streamed(self._read, self._rows, self._event, self.dtype, device)


def _index(index: slice | Tensor | np.ndarray) -> slice | Tensor:
    if isinstance(index, slice):
        return index
    return torch.as_tensor(index).cpu()


def blocks(values: Tensor | Streamed) -> Iterator[tuple[int, Tensor]]:
    """Yield ``(start, some observations)`` after each other, few enough to be in memory."""
    event = values.shape[1:]
    step = max(1, BLOCK_BYTES // max(1, prod(event) * values.dtype.itemsize))
    for start in range(0, len(values), step):
        yield start, values[start : start + step]
