"""Reading a few rows out of an array too large for memory, one block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np

_BLOCK_BYTES = 2**24


def stream_blocks(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(start, rows)`` blocks of a C-ordered array of ``shape`` stored as plain bytes.

    Raises
    ------
    ValueError
        If the stream is shorter or longer than the array.
    """
    n, row = shape[0], shape[1:]
    row_bytes = prod(row) * dtype.itemsize
    step = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, n, step):
        count = min(step, n - start)
        data = stream.read(count * row_bytes)
        if len(data) < count * row_bytes:
            raise ValueError(f"it ends within rows {start} to {start + count} of {n}")
        yield start, np.frombuffer(data, dtype).reshape(count, *row)
    # Reading past the end also makes gzip and zip streams verify their CRC.
    if stream.read(1):
        raise ValueError(f"it goes on after {n} rows")


def npz_blocks(
    path: Path, key: str, shape: tuple[int, ...], dtype: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(start, rows)`` blocks of one array of an ``.npz`` file, which must be as announced.

    ``numpy.load`` would decompress the whole array into memory: 3 GB for dSprites, 13 GB for MPI3D.

    Raises
    ------
    ValueError, KeyError, zipfile.BadZipFile
        If the file is damaged or holds something else.
    """
    with ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            found = np.lib.format.read_array_header_1_0(stream)
        else:
            found = np.lib.format.read_array_header_2_0(stream)
        if found != (shape, False, np.dtype(dtype)):
            raise ValueError(f"'{key}' has (shape, Fortran order, type) {found}")
        yield from stream_blocks(stream, shape, np.dtype(dtype))


def gather_rows(
    blocks: Iterable[tuple[int, np.ndarray]],
    rows: np.ndarray,
    transform: Callable[[np.ndarray], np.ndarray] = lambda taken: taken,
) -> np.ndarray:
    """Collect ``rows``, in the order asked for, out of increasing blocks.

    Parameters
    ----------
    blocks
        Pairs ``(start, block)``: rows ``start`` to ``start + len(block)`` of the array. Blocks
        without any of ``rows`` may be left out.
    rows
        Distinct row numbers, shape ``(n,)``, at least one, in any order.
    transform
        Applied to the rows taken from each block, to make them small before they pile up.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, …)``.

    Raises
    ------
    ValueError
        If the blocks do not cover all of ``rows``.
    """
    order = np.argsort(rows)
    ascending = rows[order]
    gathered: np.ndarray | None = None
    n_found = 0
    for start, block in blocks:
        first, last = np.searchsorted(ascending, [start, start + len(block)])
        if first == last:
            continue
        taken = transform(block[ascending[first:last] - start])
        if gathered is None:
            gathered = np.empty((len(rows), *taken.shape[1:]), taken.dtype)
        gathered[order[first:last]] = taken
        n_found += last - first
    if gathered is None or n_found < len(rows):
        raise ValueError(f"only {n_found} of {len(rows)} rows are there")
    return gathered
