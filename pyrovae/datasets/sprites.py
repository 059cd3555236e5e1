"""Sprites: dSprites' factor grid, drawn on demand at any size.

The factors and their values are those of dSprites (Matthey et al. 2017,
https://github.com/google-deepmind/dsprites-dataset). The images are our own, so nothing is
downloaded; sprites are about as large as dSprites' (on average 4.4 % of the pixels are white here,
4.2 % there).

Fewer shapes, scales, orientations or positions make a smaller grid, whose factors a small model
learns in minutes; all of dSprites' take hours.

Lengths are in units of the image's side, x to the right and y downwards. A sprite is placed by its
centroid; at scale 1 its farthest point is ``RADIUS`` away from there, so no sprite is ever clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER
from pyrovae.datasets.backgrounds import Background, dressed
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.grids import FactorGrid, sample_grid
from pyrovae.datasets.splits import Count, Seed

Shape = Literal["square", "ellipse", "heart"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
RADIUS = 0.2

_NAMES = ("shape", "scale", "orientation", "x", "y")
#: dSprites' number of orientations, of which the last is the first one again.
_DSPRITES_ORIENTATIONS = 40

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


@dataclass(frozen=True)
class SpriteGrid:
    """Which sprites there are: all combinations of some shapes, scales, orientations and positions.

    Attributes
    ----------
    shapes
        Of the sprites.
    scales, orientations, positions
        Numbers of values, evenly spaced. A single scale is 1, a single orientation upright, a
        single position the centre.
    reach
        Shares, along x and along y, of the way that sprites have without being clipped.

    Examples
    --------
    >>> SpriteGrid(("ellipse",), scales=6, orientations=1, positions=16).factors
    FactorGrid(names=('scale', 'x', 'y'), sizes=(6, 16, 16))
    """

    shapes: tuple[Shape, ...] = SHAPES
    scales: int = 6
    orientations: int = _DSPRITES_ORIENTATIONS
    positions: int = 32
    reach: tuple[float, float] = (1.0, 1.0)

    @property
    def factors(self) -> FactorGrid:
        """The factors that have more than one value: those that a code can tell anything of."""
        kept = {name: n for name, n in zip(_NAMES, self._sizes, strict=True) if n > 1}
        return FactorGrid(tuple(kept), tuple(kept.values()))

    @property
    def _sizes(self) -> tuple[int, ...]:
        places = (self.positions, self.positions)
        return (len(self.shapes), self.scales, self.orientations, *places)

    @property
    def _values(self) -> tuple[np.ndarray, ...]:
        # Descending, so that a single value is the largest.
        scales = np.linspace(1.0, 0.5, self.scales)[::-1]
        dsprites = self.orientations == _DSPRITES_ORIENTATIONS
        turn = np.linspace(0.0, 2 * np.pi, self.orientations, endpoint=dsprites)
        ways = [reach * (0.5 - RADIUS) * (self.positions > 1) for reach in self.reach]
        return scales, turn, *(np.linspace(0.5 - w, 0.5 + w, self.positions) for w in ways)

    def render(self, factors: np.ndarray, size: int = 64) -> np.ndarray:
        """Draw grid points.

        Parameters
        ----------
        factors
            Factor indices in the order of ``self.factors.names``, integers of shape ``(n, k)``.
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
        >>> GRID.render(np.array([[2, 5, 0, 16, 16]]), size=32).shape
        (1, 1, 32, 32)
        """
        # A factor of one value changes no point's number: all five are told from it.
        factors = FactorGrid(_NAMES, self._sizes).factors(self.factors.index(factors))
        values = self._values
        images = np.zeros((len(factors), 1, size, size), np.uint8)
        chunk = max(1, _CHUNK_PIXELS // size**2)
        for number, shape in enumerate(self.shapes):
            rows = np.flatnonzero(factors[:, 0] == number)
            for start in range(0, len(rows), chunk):
                some = rows[start : start + chunk]
                scale, orientation, x, y = (
                    known[index] for known, index in zip(values, factors[some, 1:].T, strict=True)
                )
                white = draw(shape, scale, orientation, x, y, size)
                images[some, 0] = white * np.uint8(255)
        return images


#: All of dSprites' grid.
GRID = SpriteGrid()


def _different(shapes: list[Shape]) -> list[Shape]:
    if len(set(shapes)) < len(shapes):
        raise PydanticCustomError("shape_twice", "No shape may be named twice")
    return shapes


_Shapes = Annotated[list[Shape], Field(min_length=1), AfterValidator(_different), LATER]
_Share = Annotated[float, Field(gt=0, le=1)]
_Reach = Annotated[list[_Share], Field(min_length=2, max_length=2), LATER]
_Values = Annotated[int, Field(gt=0, le=64), LATER]
_Noise = Annotated[float, Field(ge=0, le=1), LATER]
_Colour = Annotated[bool, LATER]
_Background = Annotated[Background, LATER]


def with_noise(images: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Return images in two greys, 0.25 and 0.75, with Gaussian noise, as ``uint8``.

    A likelihood with a scale of its own needs it: of images without noise the scale falls for
    ever, and training comes to no end.

    Parameters
    ----------
    images
        ``uint8``, 0 or 255.
    noise
        Its standard deviation, of white at 1.
    seed
        Of the draws.
    """
    draws = np.random.default_rng([seed, 1]).standard_normal(images.shape, np.float32)
    values = 0.25 + images / np.float32(510) + np.float32(noise) * draws
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


@DATASETS.register("sprites")
def sprites(
    *,
    size: Annotated[int, Field(ge=16, le=256)] = 64,
    n_train: Count = 20_000,
    n_test: Count = 10_000,
    seed: Seed = 0,
    shapes: _Shapes = ["square", "ellipse", "heart"],  # noqa: B006 - never changed
    scales: _Values = 6,
    orientations: _Values = 40,
    positions: _Values = 32,
    reach: _Reach = [1.0, 1.0],  # noqa: B006 - never changed
    noise: _Noise = 0.0,
    colour: _Colour = False,
    background: _Background = "black",
) -> Dataset:
    """White squares, ellipses and hearts of known scale, orientation and position, drawn on demand.

    The factors are those of ``shape``, ``scale``, ``orientation``, ``x`` and ``y`` that have more
    than one value.

    Parameters
    ----------
    size
        Side of the images in pixels. Below 64, neighbouring positions may give the same image.
    n_train, n_test
        Sizes of the random disjoint subsets of the grid's points, 737,280 by default.
    seed
        Which subsets.
    shapes
        One or several of ``square``, ``ellipse`` and ``heart``.
    scales
        Number of scales, from half size to full; a single one is full size.
    orientations
        Number of angles over a turn; a single one is upright. The default is dSprites', whose last
        angle repeats the first. A square looks alike after a quarter of a turn, an ellipse after
        half.
    positions
        Number of places along x, and along y; a single one is the centre.
    reach
        Shares, along x and along y, of the way that sprites have without being clipped, over which
        places are spread. Where the two are equal, a code may turn x and y into each other at
        hardly any cost; where they differ, it pays to keep them apart.
    noise
        Standard deviation of what is added to each pixel, of white at 1. Sprites are then light
        grey, 0.75, on dark grey, 0.25, so that noise is seldom cut off at black and white. It is
        drawn once: an image is the same whenever it is looked at.
    colour
        Whether each sprite has a colour of its own, uniform over [0.5, 1] in red, green and blue:
        images have three channels. No factor tells it.
    background
        ``black``; ``noise``, uniform over [0, 1] in each pixel; or ``picture``, another patch of
        one picture of waves each time, in a tint, on which the sprite is where colours are
        inverted.

    Raises
    ------
    ConfigError
        If more images are asked for than the grid has points.

    References
    ----------
    after dSprites: Matthey, Higgins, Hassabis, Lerchner (2017); its variants after Locatello et al.
    2019, arXiv:1811.12359, with a picture of our own in the place of theirs

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("sprites", size=32, n_train=200, n_test=100)
    >>> data.train.values.shape, data.train.factors.shape
    (torch.Size([200, 1, 32, 32]), (200, 5))
    >>> data.factor_names, data.factor_sizes
    (('shape', 'scale', 'orientation', 'x', 'y'), (3, 6, 40, 32, 32))
    """
    grid = SpriteGrid(tuple(shapes), scales, orientations, positions, (reach[0], reach[1]))

    if colour and background == "picture":
        raise ConfigError("inverts the picture where the sprite is: it has no colour", "colour")

    def images_at(index: np.ndarray) -> np.ndarray:
        images = grid.render(grid.factors.factors(index), size)
        if colour or background != "black":
            images = dressed(images, index, colour=colour, background=background, seed=seed)
        return with_noise(images, noise, seed) if noise else images

    return sample_grid(
        "sprites",
        grid.factors,
        images_at,
        n_train=n_train,
        n_test=n_test,
        seed=seed,
    )
