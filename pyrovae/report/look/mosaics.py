"""Many small images as one: a single picture in the PDF, with tiles that stay apart."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.names import wrapped
from pyrovae.report.look.style import Style, theme, tighten

#: Tiles are enlarged to at least so many pixels a side, so that gaps and edges stay crisp.
_TILE = 32
#: Pixels between tiles, and between blocks of tiles.
_GAP = 2
_BLOCK_GAP = 9
#: Colour of a frame.
_FRAME = (0.84, 0.37, 0.0)
#: Inches around a figure's content.
_MARGIN = 0.03

#: ``(height, width, 3)``, values in [0, 1].
Pixels = NDArray[np.float32]


def mosaic(images: Tensor) -> Pixels:
    """Lay out images in a grid on white.

    Parameters
    ----------
    images
        ``(rows, columns, channels, height, width)``, values in [0, 1] (others are clipped), one or
        three channels.

    Returns
    -------
    ndarray
        Red, green and blue.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    if images.dim() != 5 or images.shape[2] not in (1, 3):
        shape = tuple(images.shape[2:])
        raise NothingToDraw(f"observations of shape {shape} are no images of 1 or 3 channels")
    rows, columns, _, height, width = images.shape
    factor = max(1, math.ceil(_TILE / max(height, width)))
    tiles = images.float().clamp(0, 1).repeat_interleave(factor, 3).repeat_interleave(factor, 4)
    tiles = tiles.expand(rows, columns, 3, height * factor, width * factor)
    high, wide = height * factor + _GAP, width * factor + _GAP
    canvas = np.ones((rows * high - _GAP, columns * wide - _GAP, 3), dtype=np.float32)
    for r in range(rows):
        for c in range(columns):
            tile = tiles[r, c].permute(1, 2, 0).numpy()
            canvas[r * high : r * high + high - _GAP, c * wide : c * wide + wide - _GAP] = tile
    return canvas


def framed(images: Tensor) -> Tensor:
    """Return images with a frame, as ``(n, 3, height, width)``: told apart from others at a glance.

    Parameters
    ----------
    images
        ``(n, channels, height, width)``, one or three channels; at least 8 pixels a side have a
        frame of one pixel, others of more.
    """
    made = images.float().clamp(0, 1).expand(-1, 3, -1, -1).clone()
    width = max(1, min(images.shape[-2:]) // 24)
    colour = torch.tensor(_FRAME).view(3, 1, 1)
    for edge in (slice(None, width), slice(-width, None)):
        made[:, :, edge, :] = colour
        made[:, :, :, edge] = colour
    return made


def grid_png(images: Tensor) -> bytes:
    """Return images in a grid, as near to a square as their number allows, as a PNG file.

    Parameters
    ----------
    images
        ``(n, channels, height, width)``, as of :func:`mosaic`.

    Raises
    ------
    NothingToDraw
        If they are no images.
    """
    across = math.ceil(math.sqrt(len(images)))
    missing = -len(images) % across
    white = images.new_ones(missing, *images.shape[1:])
    canvas = mosaic(torch.cat([images, white]).unflatten(0, (-1, across)))
    stream = io.BytesIO()
    Image.fromarray((255 * canvas).round().astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def blocks(grid: Sequence[Sequence[Tensor | None]]) -> Pixels:
    """Lay out several grids of images in a grid, further apart than the images within each.

    Parameters
    ----------
    grid
        Rows of what :func:`mosaic` takes, all of one shape; ``None`` leaves a place empty.
    """
    drawn = [[None if images is None else mosaic(images) for images in row] for row in grid]
    height, width, _ = next(block.shape for row in drawn for block in row if block is not None)
    high, wide = height + _BLOCK_GAP, width + _BLOCK_GAP
    shape = (len(drawn) * high - _BLOCK_GAP, len(drawn[0]) * wide - _BLOCK_GAP, 3)
    canvas = np.ones(shape, dtype=np.float32)
    for r, row in enumerate(drawn):
        for c, block in enumerate(row):
            if block is not None:
                canvas[r * high : r * high + height, c * wide : c * wide + width] = block
    return canvas


def show(
    ax: Axes, canvas: Pixels, *, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> None:
    """Draw a picture of equal rows and columns, with a name for each where given."""
    ax.imshow(canvas, interpolation="none")
    for axis, pixels, named in (
        (ax.xaxis, canvas.shape[1], columns),
        (ax.yaxis, canvas.shape[0], rows),
    ):
        centres = (np.arange(len(named)) + 0.5) * pixels / max(len(named), 1) - 0.5
        axis.set_ticks(list(centres), list(named))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def crowded(ax: Axes) -> bool:
    """Return whether names of rows run into each other, where rows are lower than these."""
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    return any(one.overlaps(two) for one, two in itertools.pairwise(boxes))


@contextmanager
def sheet(
    images: Tensor, *, rows: Sequence[str], columns: Sequence[str], title: str, style: Style
) -> Iterator[tuple[Figure, Axes]]:
    """Hand out a figure of images with names beside them, to be labelled; then make it fit.

    Parameters
    ----------
    images
        As of :func:`mosaic`.
    rows, columns
        Their names.
    title, style
        Of the figure, which is one column wide.
    """
    with theme(style):
        figure = Figure(figsize=(style.column, 2 * style.column))
        ax = figure.subplots()
        show(ax, mosaic(images), rows=rows, columns=columns)
        ax.set_title(wrapped(title, 44))
        yield figure, ax
        tighten(figure)
        fit(figure, ax)


def fit(figure: Figure, ax: Axes) -> None:
    """Make a picture as wide as its names leave room for, and the figure as high as that takes.

    Layout engines settle margins first and the shape of pixels last, which cuts names off.
    """
    figure.draw_without_rendering()
    inner, outer, dpi = ax.get_window_extent(), ax.get_tightbbox(), figure.dpi
    assert outer is not None
    left = (inner.x0 - outer.x0) / dpi + _MARGIN
    right = (outer.x1 - inner.x1) / dpi + _MARGIN
    below = (inner.y0 - outer.y0) / dpi + _MARGIN
    above = (outer.y1 - inner.y1) / dpi + _MARGIN
    rows, columns = ax.get_images()[0].get_size()
    width = figure.get_figwidth() - left - right
    height = width * rows / columns
    total = height + below + above
    figure.set_figheight(total)
    whole = figure.get_figwidth()
    ax.set_position((left / whole, below / total, width / whole, height / total))
