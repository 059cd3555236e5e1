"""MPI3D: a robot arm that carries an object, rendered in two ways and photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.rows import gather_rows, npz_blocks
from pyrovae.datasets.splits import Count, Seed

# The published files. The smaller grid (4 colours, 4 shapes) of the NeurIPS 2019 challenge, which
# disentanglement_lib still uses for some of them, is another file.
GRID = FactorGrid(
    (
        "object_color",
        "object_shape",
        "object_size",
        "camera_height",
        "background_color",
        "horizontal_axis",
        "vertical_axis",
    ),
    (6, 6, 2, 3, 3, 40, 40),
)


def read_mpi3d(path: Path, index: np.ndarray, grid: FactorGrid) -> np.ndarray:
    """Read some of the images.

    Parameters
    ----------
    path
        The ``.npz`` file: ``images`` of shape ``(len(grid), 64, 64, 3)``, ``uint8``. It has no
        labels: the order is the authors' word.
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
        If the file is damaged or has another number of images.
    """
    with reading(path, f"MPI3D with {len(grid)} images"):
        blocks = npz_blocks(path, "images", (len(grid), 64, 64, 3), "uint8")
        return gather_rows(blocks, index, lambda taken: taken.transpose(0, 3, 1, 2))


@DATASETS.register("mpi3d")
def mpi3d(
    *,
    variant: Literal["toy", "realistic", "real"] = "toy",
    n_train: Count = 20_000,
    n_test: Count = 10_000,
    seed: Seed = 0,
) -> Dataset:
    """A robot arm that carries an object, 64×64 RGB, seven factors.

    Parameters
    ----------
    variant
        Simple rendering, realistic rendering, or photographs. Each file holds 13 GB of pixels,
        which are read through once and not kept.
    n_train, n_test
        Sizes of the random disjoint subsets of the 1,036,800 images.
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
    Gondal et al. (NeurIPS 2019)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("mpi3d", variant="real", n_train=1000)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1000, 3, 64, 64])
    >>> from pyrovae.datasets.mpi3d import GRID
    >>> GRID.sizes
    (6, 6, 2, 3, 3, 40, 40)
    """
    return sample_grid(
        "mpi3d",
        GRID,
        lambda index: read_mpi3d(locate("mpi3d", f"mpi3d_{variant}.npz"), index, GRID),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
