"""Animated traversals: a GIF in which each unit sweeps through its range and back."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pyrovae.measures.traversal import ENDS, Over
from pyrovae.report.look.mosaics import fit, mosaic, show
from pyrovae.report.look.names import wrapped
from pyrovae.report.look.style import PAPER, Style, theme, tighten
from pyrovae.report.run.traversals import mark_inactive, unit_names

#: Pixels in an inch, and milliseconds that a frame stands for.
_DPI, _DURATION = 144, 90


def traversal_gif(
    images: Tensor,
    units: pd.DataFrame,
    *,
    over: Over = "prior",
    title: str = "",
    style: Style = PAPER,
) -> bytes:
    """Animate the traversals of several data, side by side.

    Parameters
    ----------
    images
        ``(data, units, steps, *event)``, as from :func:`pyrovae.measures.traversal.traverse`.
    units
        The rows of :meth:`RunFolder.units` that belong to the units.
    over
        What the values are quantiles of.
    title, style
        Of the picture.

    Returns
    -------
    bytes
        A GIF that repeats for ever: ``2 * steps - 2`` frames, from the lowest value to the highest
        and back.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    steps = images.shape[2]
    canvases = [mosaic(images[:, :, step].transpose(0, 1)) for step in range(steps)]
    with theme(style):
        figure = Figure(figsize=(style.column, 2 * style.column), dpi=_DPI)
        agg = FigureCanvasAgg(figure)
        ax = figure.subplots()
        show(ax, canvases[0], rows=unit_names(units))
        mark_inactive(ax, units)
        ax.set_title(wrapped(title, 44))
        below = ax.set_xlabel(_where(0.0, over))
        tighten(figure)
        fit(figure, ax)
        frames = []
        for canvas, quantile in zip(canvases, np.linspace(*ENDS, steps), strict=True):
            ax.get_images()[0].set_data(canvas)
            below.set_text(_where(quantile, over))
            agg.draw()
            rgb = np.asarray(agg.buffer_rgba())[..., :3]
            frames.append(Image.fromarray(np.ascontiguousarray(rgb)))
    # One palette for all frames: colours that flicker would look like an effect of the unit.
    palette = frames[0].quantize(256)
    swept = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    there_and_back = [*swept, *swept[-2:0:-1]]
    buffer = io.BytesIO()
    there_and_back[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=there_and_back[1:],
        duration=_DURATION,
        loop=0,
    )
    return buffer.getvalue()


def _where(quantile: float, over: Over) -> str:
    return f"quantile of the {over}: {100 * quantile:3.0f} %"
