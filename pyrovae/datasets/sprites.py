"""Sprites: dSprites' factor grid, drawn on demand at any size.

The factors and their values are those of dSprites (Matthey et al. 2017,
https://github.com/google-deepmind/dsprites-dataset). The images are our own, so nothing is
downloaded; sprites are about as large as dSprites' (on average 4.4 % of the pixels are white here,
4.2 % there).

Lengths are in units of the image's side, x to the right and y downwards. A sprite is placed by its
centroid; at scale 1 its farthest point is ``RADIUS`` away from there, so no sprite is ever clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import Field

from pyrovae.datasets.base import DATASETS, Dataset
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.splits import Count, Seed

GRID = FactorGrid(("shape", "scale", "orientation", "x", "y"), (3, 6, 40, 32, 32))
SHAPES = ("square", "ellipse", "heart")
RADIUS = 0.2

# The last orientation is the first one again, as in dSprites.
_SCALES = np.linspace(0.5, 1.0, 6)
_ORIENTATIONS = np.linspace(0.0, 2 * np.pi, 40)
_POSITIONS = np.linspace(RADIUS, 1 - RADIUS, 32)

_CHUNK_PIXELS = 2**22


def _in_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= RADIUS / np.sqrt(2)


def _in_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Semi-axes ``RADIUS`` along x and half of it along y."""
    return u * u + 4 * (v * v) <= RADIUS**2


# The heart is a square standing on a corner, with a half disc on each of its two upper sides. In
# units of the square's side and along its sides: area, centroid (both coordinates), and the
# distance from the centroid to the lower corner, which is the farthest point.
_HEART_AREA = 1 + np.pi / 4
_HEART_CENTROID = np.pi / 8 * (1 / 2 + 2 / (3 * np.pi)) / _HEART_AREA
_HEART_SIDE = RADIUS / (np.sqrt(2) * (1 / 2 + _HEART_CENTROID))


def _in_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    half = _HEART_SIDE / 2
    # Along the two upper sides, which meet at the top; the origin moves to the square's centre.
    a = (u - v) / np.sqrt(2) + _HEART_SIDE * _HEART_CENTROID
    b = (-u - v) / np.sqrt(2) + _HEART_SIDE * _HEART_CENTROID
    square = np.maximum(np.abs(a), np.abs(b)) <= half
    lobes = ((a - half) ** 2 + b * b <= half**2) | (a * a + (b - half) ** 2 <= half**2)
    return square | lobes


_INSIDE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "square": _in_square,
    "ellipse": _in_ellipse,
    "heart": _in_heart,
}


def draw(
    shape: str,
    scale: np.ndarray,
    orientation: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    size: int,
) -> np.ndarray:
    """Draw sprites of one shape at any continuous scale, orientation and position.

    A pixel is white if its centre is inside the shape. Where the outline is straight across the
    pixel this is the same as covering at least half of it, so it is antialiased coverage cut at
    0.5, without the cost of supersampling.

    Parameters
    ----------
    shape
        One of ``SHAPES``.
    scale, orientation, x, y
        Shape ``(n,)`` each: factor on all lengths, clockwise angle in radians, and position of the
        centroid, (0, 0) being the upper left corner of the image and (1, 1) the lower right.
    size
        Side of the images in pixels.

    Returns
    -------
    numpy.ndarray
        ``bool`` of shape ``(n, size, size)``.
    """
    centre = (np.arange(size) + 0.5) / size
    dx, dy = centre - x[:, None], centre - y[:, None]
    cos, sin = (np.cos(orientation) / scale)[:, None], (np.sin(orientation) / scale)[:, None]

    def plane(along_x: np.ndarray, along_y: np.ndarray) -> np.ndarray:
        """Add what depends on the column to what depends on the row; in float32 for speed."""
        return along_x.astype(np.float32)[:, None, :] + along_y.astype(np.float32)[:, :, None]

    return _INSIDE[shape](plane(cos * dx, sin * dy), plane(-sin * dx, cos * dy))


def render(factors: np.ndarray, size: int = 64) -> np.ndarray:
    """Draw grid points.

    Parameters
    ----------
    factors
        Factor indices in the order of ``GRID.names``, integers of shape ``(n, 5)``.
    size
        Side of the images in pixels.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 1, size, size)``: 0 outside the sprite, 255 inside.

    Raises
    ------
    DataError
        If ``factors`` are not on the grid.

    Examples
    --------
    >>> render(np.array([[2, 5, 0, 16, 16]]), size=32).shape
    (1, 1, 32, 32)
    """
    factors = GRID.factors(GRID.index(factors))
    images = np.zeros((len(factors), 1, size, size), np.uint8)
    chunk = max(1, _CHUNK_PIXELS // size**2)
    for number, shape in enumerate(SHAPES):
        rows = np.flatnonzero(factors[:, 0] == number)
        for start in range(0, len(rows), chunk):
            some = rows[start : start + chunk]
            _, scale, orientation, x, y = factors[some].T
            white = draw(
                shape,
                _SCALES[scale],
                _ORIENTATIONS[orientation],
                _POSITIONS[x],
                _POSITIONS[y],
                size,
            )
            images[some, 0] = white * np.uint8(255)
    return images


@DATASETS.register("sprites")
def sprites(
    *,
    size: Annotated[int, Field(ge=16, le=256)] = 64,
    n_train: Count = 20_000,
    n_test: Count = 10_000,
    seed: Seed = 0,
) -> Dataset:
    """White squares, ellipses and hearts of known scale, orientation and position, drawn on demand.

    Parameters
    ----------
    size
        Side of the images in pixels. Below 64, neighbouring positions may give the same image.
    n_train, n_test
        Sizes of the random disjoint subsets of the 737,280 grid points.
    seed
        Which subsets.

    Raises
    ------
    ConfigError
        If more images are asked for than the grid has points.

    References
    ----------
    after dSprites: Matthey, Higgins, Hassabis, Lerchner (2017)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("sprites", size=32, n_train=200, n_test=100)
    >>> data.train.values.shape, data.train.factors.shape
    (torch.Size([200, 1, 32, 32]), (200, 5))
    >>> data.factor_names, data.factor_sizes
    (('shape', 'scale', 'orientation', 'x', 'y'), (3, 6, 40, 32, 32))
    """
    return sample_grid(
        "sprites",
        GRID,
        lambda index: render(GRID.factors(index), size),
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
