"""Small NORB: photographs of toys under varying light and viewpoint."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, NamedTuple

import numpy as np
from pydantic import Field

from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate, open_binary
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.resize import area_average
from pyrovae.datasets.rows import gather_rows, stream_blocks
from pyrovae.datasets.splits import Count, Seed

GRID = FactorGrid(
    ("category", "instance", "elevation", "azimuth", "lighting"),
    (5, 10, 9, 18, 6),
)

# Type codes of the authors' binary matrix format that these files use.
_TYPES: dict[int, np.dtype] = {0x1E3D4C55: np.dtype("uint8"), 0x1E3D4C54: np.dtype("<i4")}


class NorbFiles(NamedTuple):
    """The three files of one part: image pairs, categories, and the other four factors."""

    dat: Path
    cat: Path
    info: Path


def _matrix_blocks(stream: IO[bytes], shape: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(start, rows)`` blocks of a matrix in the authors' binary format.

    Format, little-endian: type code, number of dimensions, at least three dimensions, values
    (https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/).
    """
    code, n_dims = struct.unpack("<II", stream.read(8))
    if code not in _TYPES or n_dims != len(shape):
        raise ValueError(f"its type code is {code:#x} and it has {n_dims} dimensions")
    n_stored = max(3, n_dims)
    found = struct.unpack(f"<{n_stored}I", stream.read(4 * n_stored))[:n_dims]
    if found != shape:
        raise ValueError(f"its header says {found}")
    yield from stream_blocks(stream, shape, _TYPES[code])


def _read_matrix(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    with reading(path, f"a NORB matrix of shape {shape}"), open_binary(path) as stream:
        return np.concatenate([block for _, block in _matrix_blocks(stream, shape)])


def read_smallnorb(
    parts: list[NorbFiles],
    index: np.ndarray,
    size: int,
    grid: FactorGrid,
) -> np.ndarray:
    """Read some of the images, the first of each stereo pair.

    Parameters
    ----------
    parts
        Files of equal length that together hold each grid point once, in any order.
    index
        Grid points, shape ``(n,)``.
    size
        Side in pixels to which images are averaged down, at most 96.
    grid
        What the files must hold: ``GRID`` for the published ones.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 1, size, size)``.

    Raises
    ------
    DataError
        If a file is damaged, or the files do not hold each grid point once.
    """
    n = len(grid) // len(parts)
    points = []
    for part in parts:
        category = _read_matrix(part.cat, (n,))
        instance, elevation, azimuth, lighting = _read_matrix(part.info, (n, 4)).T
        # Azimuths are stored as 0, 2, …, 34.
        factors = [category, instance, elevation, azimuth // 2, lighting]
        try:
            points.append(grid.index(np.stack(factors, axis=1)))
        except DataError as failure:
            raise DataError(f"{part.cat} or {part.info.name}: {failure}") from None
    if not np.array_equal(np.sort(np.concatenate(points)), np.arange(len(grid))):
        raise DataError(f"{parts[0].info.parent}: the files do not hold each image once")

    images = np.empty((len(index), 1, size, size), np.uint8)
    for part, held in zip(parts, points, strict=True):
        row_of = np.full(len(grid), -1)
        row_of[held] = np.arange(n)
        wanted = np.flatnonzero(row_of[index] >= 0)
        if len(wanted) == 0:
            continue
        shape = (n, 2, 96, 96)
        with (
            reading(part.dat, f"a NORB matrix of shape {shape}"),
            open_binary(part.dat) as stream,
        ):
            images[wanted] = gather_rows(
                _matrix_blocks(stream, shape),
                row_of[index[wanted]],
                lambda pairs: area_average(pairs[:, :1], size),
            )
    return images


def _locate_part(stem: str) -> NorbFiles:
    return NorbFiles(
        *(
            locate("smallnorb", f"smallnorb-{stem}-{kind}.mat.gz", f"smallnorb-{stem}-{kind}.mat")
            for kind in NorbFiles._fields
        )
    )


@DATASETS.register("smallnorb")
def smallnorb(
    *,
    size: Annotated[int, Field(ge=16, le=96)] = 64,
    n_train: Count = 30_000,
    n_test: Count = 15_000,
    seed: Seed = 0,
) -> Dataset:
    """Photographs of 50 toys of 5 categories under varying light and viewpoint, grey.

    The authors' training and test files hold different toys. Both are pooled here, as is usual in
    work on disentanglement, so that every factor takes all its values in either split.

    Parameters
    ----------
    size
        Side in pixels to which the 96×96 images are averaged down.
    n_train, n_test
        Sizes of the random disjoint subsets of the 48,600 images.
    seed
        Which subsets.

    Raises
    ------
    ConfigError
        If more images are asked for than there are.
    DataError
        If a file is missing or damaged.

    References
    ----------
    LeCun, Huang, Bottou (CVPR 2004)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("smallnorb", n_train=1000)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1000, 1, 64, 64])
    >>> from pyrovae.datasets.smallnorb import GRID
    >>> GRID.sizes
    (5, 10, 9, 18, 6)
    """
    return sample_grid(
        "smallnorb",
        GRID,
        lambda index: read_smallnorb(
            [
                _locate_part("5x46789x9x18x6x2x96x96-training"),
                _locate_part("5x01235x9x18x6x2x96x96-testing"),
            ],
            index,
            size,
            GRID,
        ),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
