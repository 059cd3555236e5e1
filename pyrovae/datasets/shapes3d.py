"""3D Shapes: a coloured object in a coloured room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.rows import gather_rows
from pyrovae.datasets.splits import Count, Seed

if TYPE_CHECKING:
    import h5py

GRID = FactorGrid(
    ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
    (10, 10, 10, 8, 4, 15),
)


def _blocks(images: h5py.Dataset, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the blocks that hold any of ``rows``."""
    # At least a chunk at a time, as HDF5 decompresses whole chunks.
    step = max(1024, images.chunks[0] if images.chunks else 0)
    for number in np.unique(rows // step):
        start = int(number) * step
        yield start, images[start : start + step]


def read_shapes3d(path: Path, index: np.ndarray, grid: FactorGrid) -> np.ndarray:
    """Read some of the images.

    Parameters
    ----------
    path
        The HDF5 file: ``images`` of shape ``(len(grid), 64, 64, 3)``, ``uint8``, and ``labels`` of
        shape ``(len(grid), 6)``, the factors' values.
    index
        Grid points, shape ``(n,)``.
    grid
        What the file must hold: ``GRID`` for the published one.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 3, 64, 64)``.

    Raises
    ------
    DataError
        If the file is damaged or its images are not in the grid's order.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    import h5py

    with reading(path, f"3D Shapes with {len(grid)} images"), h5py.File(path, "r") as file:
        images, labels = file["images"], file["labels"]
        if images.shape != (len(grid), 64, 64, 3) or images.dtype != np.uint8:
            raise ValueError(f"'images' has shape {images.shape} and type {images.dtype}")
        if not grid.is_enumerated_by(labels[:]):
            raise ValueError("its images are not in the order of the factor grid")
        return gather_rows(_blocks(images, index), index, lambda taken: taken.transpose(0, 3, 1, 2))


@DATASETS.register("shapes3d")
def shapes3d(*, n_train: Count = 20_000, n_test: Count = 10_000, seed: Seed = 0) -> Dataset:
    """A coloured object in a coloured room, 64×64 RGB, six factors.

    Parameters
    ----------
    n_train, n_test
        Sizes of the random disjoint subsets of the 480,000 images.
    seed
        Which subsets.

    Raises
    ------
    ConfigError
        If more images are asked for than there are.
    DataError
        If the file is missing or damaged.

    References
    ----------
    Burgess, Kim (2018); Kim, Mnih (ICML 2018)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("shapes3d", n_train=1000)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1000, 3, 64, 64])
    >>> from pyrovae.datasets.shapes3d import GRID
    >>> GRID.sizes
    (10, 10, 10, 8, 4, 15)
    """
    return sample_grid(
        "shapes3d",
        GRID,
        lambda index: read_shapes3d(locate("shapes3d", "3dshapes.h5"), index, GRID),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
