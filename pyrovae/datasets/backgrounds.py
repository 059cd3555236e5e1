"""What sprites may be drawn in and on: a colour each, noise, patches of a picture.

All of it is nuisance: drawn for each image anew and told by no factor. An image is a function of
its point on the grid and the data set's seed, whichever others are drawn beside it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

#: ``black``; ``noise``: uniform in each pixel; ``picture``: a patch of one picture, in a tint.
Background = Literal["black", "noise", "picture"]

#: Side of the picture, in sides of the images.
_SIDES = 5
#: Waves that the picture is made of in each colour, and how often the longest fit into a side.
_WAVES, _SLOWEST = 24, 0.3
#: Of the random choices: apart from those of the split and of noise.
_STREAM = 2


def dressed(
    sprites: np.ndarray, points: np.ndarray, *, colour: bool, background: Background, seed: int
) -> np.ndarray:
    """Return sprites in their colours, on their backgrounds.

    Parameters
    ----------
    sprites
        ``uint8`` of shape ``(n, 1, size, size)``, 0 outside the sprite, 255 inside.
    points
        Of the grid, ``(n,)``.
    colour
        Whether each sprite has a colour, uniform over [0.5, 1] in red, green and blue.
    background
        What is outside. On a ``picture`` the sprite is where its colours are inverted.
    seed
        Of the data set.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, channels, size, size)``: three channels with colours.

    References
    ----------
    After the variants of dSprites of Locatello et al. 2019, sec. 4, arXiv:1811.12359
    """
    size = sprites.shape[-1]
    channels = 3 if colour or background == "picture" else 1
    images = np.empty((len(sprites), channels, size, size), np.uint8)
    for image, sprite, point in zip(images, sprites[:, 0] > 0, points, strict=True):
        random = np.random.default_rng([seed, _STREAM, int(point)])
        white = random.uniform(0.5, 1, 3) if colour else np.ones(channels)
        if background == "black":
            behind = np.zeros((channels, size, size))
        elif background == "noise":
            behind = random.random((channels, size, size))
        else:
            whole, tint = _picture(size), random.random(3)
            row, column = random.integers(0, whole.shape[1] - size, 2)
            patch = whole[:, row : row + size, column : column + size]
            behind = (patch + tint[:, None, None]) / 2
        inside = 1 - behind if background == "picture" else white[:, None, None]
        image[:] = np.rint(np.where(sprite, inside, behind) * 255)
    return images


@cache
def _picture(size: int) -> np.ndarray:
    """Return waves of many lengths and directions, the same for ever: ``(3, side, side)``."""
    random = np.random.default_rng(0)
    place = np.arange(_SIDES * size) / size
    picture = np.zeros((3, len(place), len(place)))
    for number in range(_WAVES):
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        turns = _SLOWEST * 1.15**number
        along = np.cos(angle) * place[None] + np.sin(angle) * place[:, None]
        heights = random.uniform(-1, 1, 3) / turns**0.5
        wave = np.sin(2 * np.pi * turns * along + phase)
        picture += heights[:, None, None] * wave
    low, high = (f(picture, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    found: np.ndarray = (picture - low) / (high - low)
    return found
