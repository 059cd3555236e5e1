"""Image tensors as small pictures that stand inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

#: Bytes that all pictures of a page may take together: the page stays under 10 MB.
BUDGET = 5_500_000
#: Sides of a tile that are tried, in pixels, until the pictures fit.
_SIDES = (64, 48, 32, 24, 16)
#: Of WebP, 0 to 100.
_QUALITY = 62


@dataclass(frozen=True)
class Picture:
    """A grid of images without gaps.

    Attributes
    ----------
    uri
        ``data:image/webp;base64,…``.
    rows, columns
        Of the grid.
    width, height
        In pixels.
    """

    uri: str
    rows: int
    columns: int
    width: int
    height: int


def are_pictures(images: Tensor) -> bool:
    """Return whether a batch ``(…, channels, height, width)`` can be shown as pictures."""
    return images.dim() >= 4 and images.shape[-3] in (1, 3)


def tile_side(images: dict[str, Tensor], runs: int) -> int:
    """Return the largest side of a tile with which the pictures of so many runs fit the budget.

    Parameters
    ----------
    images
        Of one run that stands for all: see :attr:`pyrovae.measures.evaluate.Evaluation.images`.
    runs
        How many the page shows.
    """
    for side in _SIDES:
        spent = sum(len(picture.uri) for picture in run_pictures(images, side).values())
        if spent * runs <= BUDGET:
            return side
    return _SIDES[-1]


def run_pictures(images: dict[str, Tensor], side: int) -> dict[str, Picture]:
    """Return a run's pictures: ``reconstructions`` (inputs above), ``traversals``, ``samples``.

    Empty if its observations are no images of one or three channels.
    """
    if not are_pictures(images["inputs"]):
        return {}
    both = torch.stack([images["inputs"], images["reconstructions"]])
    samples = images["samples"]
    columns = min(len(samples), 8)
    rows = min(len(samples) // columns, 4)
    return {
        "reconstructions": picture(both, side),
        "traversals": picture(images["traversals"], side),
        "samples": picture(samples[: rows * columns].unflatten(0, (rows, columns)), side),
    }


def picture(grid: Tensor, side: int) -> Picture:
    """Lay out images side by side, each at most ``side`` pixels high and wide.

    Parameters
    ----------
    grid
        ``(rows, columns, channels, height, width)``, values in [0, 1] (others are clipped).
    side
        Smaller images keep their size: the page enlarges them.
    """
    rows, columns, _, height, width = grid.shape
    flat = grid.float().clamp(0, 1).flatten(0, 1)
    factor = side / max(height, width)
    if factor < 1:
        small = (max(1, round(height * factor)), max(1, round(width * factor)))
        flat = interpolate(flat, size=small, mode="area")
        height, width = small
    tiles = flat.expand(-1, 3, -1, -1).unflatten(0, (rows, columns))
    pixels = tiles.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3)
    buffer = io.BytesIO()
    Image.fromarray((pixels.numpy() * 255).round().astype(np.uint8)).save(
        buffer, "WEBP", quality=_QUALITY, method=4
    )
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Picture(
        f"data:image/webp;base64,{encoded}", rows, columns, columns * width, rows * height
    )
