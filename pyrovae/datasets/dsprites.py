"""dSprites, from the file that its authors publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.rows import gather_rows, npz_blocks
from pyrovae.datasets.splits import Count, Seed

GRID = FactorGrid(("shape", "scale", "orientation", "x", "y"), (3, 6, 40, 32, 32))


def read_dsprites(path: Path, index: np.ndarray, grid: FactorGrid) -> np.ndarray:
    """Read some of the images.

    Of the file's arrays only ``imgs`` and ``latents_classes`` are touched; ``metadata`` is a
    pickle, which could run code.

    Parameters
    ----------
    path
        The ``.npz`` file: ``imgs`` of shape ``(len(grid), 64, 64)``, zeros and ones, and
        ``latents_classes`` of shape ``(len(grid), 6)``, colour first.
    index
        Grid points, shape ``(n,)``.
    grid
        What the file must hold: ``GRID`` for the published one.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 1, 64, 64)``, 0 or 255.

    Raises
    ------
    DataError
        If the file is damaged or its images are not in the grid's order.
    """

    def as_intensity(images: np.ndarray) -> np.ndarray:
        if images.max() > 1:
            raise ValueError(f"it has a pixel of value {images.max()}")
        return images[:, None] * np.uint8(255)

    with reading(path, f"dSprites with {len(grid)} images"):
        with np.load(path, allow_pickle=False) as arrays:
            if not grid.is_enumerated_by(arrays["latents_classes"][:, 1:]):
                raise ValueError("its images are not in the order of the factor grid")
        blocks = npz_blocks(path, "imgs", (len(grid), 64, 64), "uint8")
        return gather_rows(blocks, index, as_intensity)


@DATASETS.register("dsprites")
def dsprites(*, n_train: Count = 20_000, n_test: Count = 10_000, seed: Seed = 0) -> Dataset:
    """White squares, ellipses and hearts, 64×64, the published file; ``sprites`` needs none.

    Parameters
    ----------
    n_train, n_test
        Sizes of the random disjoint subsets of the 737,280 images.
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
    Matthey, Higgins, Hassabis, Lerchner (2017)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("dsprites", n_train=1000)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1000, 1, 64, 64])
    >>> from pyrovae.datasets.dsprites import GRID
    >>> GRID.sizes
    (3, 6, 40, 32, 32)
    """
    return sample_grid(
        "dsprites",
        GRID,
        lambda index: read_dsprites(
            locate("dsprites", "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"), index, GRID
        ),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
