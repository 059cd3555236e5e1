"""Cars3D: renderings of 183 car models from all around."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.resize import area_average
from pyrovae.datasets.splits import Count, Seed

GRID = FactorGrid(("elevation", "azimuth", "model"), (4, 24, 183))

_MESH = re.compile(r"(^|/)cars/[^/.]+\.mat$")


def _meshes(path: Path, grid: FactorGrid) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(model, images)``, the images of one car as (elevation, azimuth, channel, y, x)."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.io import loadmat

    n_elevations, n_azimuths, n_models = grid.sizes
    with tarfile.open(path) as archive:
        # In the archive's order: going back in a compressed archive means starting again.
        members = [member for member in archive if _MESH.search(member.name)]
        if len(members) != n_models:
            raise ValueError(f"it has {len(members)} files cars/*.mat")
        model_of = {name: i for i, name in enumerate(sorted(m.name for m in members))}
        for member in members:
            stream = archive.extractfile(member)
            if stream is None:
                raise ValueError(f"{member.name} is not a file")
            images = loadmat(io.BytesIO(stream.read()), variable_names=["im"])["im"]
            if images.shape != (128, 128, 3, n_azimuths, n_elevations) or images.dtype != np.uint8:
                raise ValueError(
                    f"'im' in {member.name} has shape {images.shape} and type {images.dtype}"
                )
            yield model_of[member.name], images.transpose(4, 3, 2, 0, 1)


def read_cars3d(path: Path, index: np.ndarray, size: int, grid: FactorGrid) -> np.ndarray:
    """Read some of the images.

    Parameters
    ----------
    path
        The ``.tar.gz`` archive: for every model, in the order of their names, a file
        ``cars/<name>.mat`` with ``im`` of shape ``(128, 128, 3, n_azimuths, n_elevations)``.
    index
        Grid points, shape ``(n,)``.
    size
        Side in pixels to which images are averaged down, at most 128.
    grid
        What the files must hold: ``GRID`` for the published ones.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 3, size, size)``.

    Raises
    ------
    DataError
        If the archive is damaged or its files are others.
    """
    elevation, azimuth, model = grid.factors(index).T
    images = np.empty((len(index), 3, size, size), np.uint8)
    with reading(path, f"the Cars3D archive with {grid.sizes[-1]} models"):
        for number, mesh in _meshes(path, grid):
            rows = np.flatnonzero(model == number)
            images[rows] = area_average(mesh[elevation[rows], azimuth[rows]], size)
    return images


@DATASETS.register("cars3d")
def cars3d(
    *,
    size: Annotated[int, Field(ge=16, le=128)] = 64,
    n_train: Count = 14_000,
    n_test: Count = 3_500,
    seed: Seed = 0,
) -> Dataset:
    """Renderings of 183 car models from 24 azimuths and 4 elevations, RGB.

    Parameters
    ----------
    size
        Side in pixels to which the 128×128 images are averaged down.
    n_train, n_test
        Sizes of the random disjoint subsets of the 17,568 images.
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
    Reed, Zhang, Zhang, Lee (NIPS 2015)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("cars3d", n_train=1000)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1000, 3, 64, 64])
    >>> from pyrovae.datasets.cars3d import GRID
    >>> GRID.sizes
    (4, 24, 183)
    """
    return sample_grid(
        "cars3d",
        GRID,
        lambda index: read_cars3d(
            locate("cars3d", "nips2015-analogy-data.tar.gz"), index, size, GRID
        ),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
