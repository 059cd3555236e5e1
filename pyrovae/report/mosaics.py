"""Many small images as one: a single picture in the PDF, with tiles that stay apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from torch import Tensor

from pyrovae.report.drawn import NothingToDraw

#: Tiles are enlarged to at least so many pixels a side, so that gaps and edges stay crisp.
_TILE = 32
#: Pixels between tiles.
_GAP = 2
#: Inches around a figure's content, above and below together.
_MARGIN = 0.08


def mosaic(images: Tensor) -> NDArray[np.float32]:
    """Lay out images in a grid on white.

    Parameters
    ----------
    images
        ``(rows, columns, channels, height, width)``, values in [0, 1] (others are clipped), one or
        three channels.

    Returns
    -------
    ndarray
        ``(pixels, pixels, 3)``.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    if images.dim() != 5 or images.shape[2] not in (1, 3):
        shape = tuple(images.shape[2:])
        raise NothingToDraw(f"observations of shape {shape} are no images of 1 or 3 channels")
    rows, columns, channels, height, width = images.shape
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


def show(
    ax: Axes, images: Tensor, *, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> None:
    """Draw a grid of images with a name for each row and column, where given."""
    canvas = mosaic(images)
    ax.imshow(canvas, interpolation="none")
    ax.set_xticks(_centres(canvas.shape[1], len(columns)), list(columns))
    ax.set_yticks(_centres(canvas.shape[0], len(rows)), list(rows))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def fit_height(figure: Figure) -> None:
    """Make a figure as high as its content: images keep their shape, so the width decides."""
    figure.draw_without_rendering()
    boxes = [box for box in (ax.get_tightbbox() for ax in figure.axes) if box is not None]
    pixels = Bbox.union(boxes).height
    # A title above all panels floats at the top of the figure as it was: only its height counts.
    pixels += sum(t.get_window_extent().height for t in figure.texts if t.get_rotation() == 0)
    figure.set_figheight(pixels / figure.dpi + _MARGIN)


def _centres(pixels: int, n: int) -> NDArray[np.float64]:
    if n == 0:
        return np.empty(0)
    tile = (pixels + _GAP) / n
    return (np.arange(n) + 0.5) * tile - _GAP / 2 - 0.5
