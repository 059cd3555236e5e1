"""ArviZ's own plots in the house style: as figures with data and caption, like all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import PAPER, Style, palette, theme

#: Inches for a row of panels, and for a line of a forest plot.
_ROW, _LINE = 0.95, 0.17

#: What the columns of a plot have on their horizontal axes, where ArviZ does not say it.
_ALONG = {"trace": ("Code", "Draw"), "autocorr": ("Lag (draws)",)}


@contextmanager
def arviz_plots(
    draw: Callable[[], dict[str, Any]],
    data: pd.DataFrame,
    captions: dict[str, str],
    *,
    style: Style = PAPER,
) -> Iterator[list[Drawn]]:
    """Hand out ArviZ's figures in a style; they are closed afterwards.

    ArviZ draws through pyplot: its figures are never shown, and the backend stays what the caller
    (a notebook, say) made it.

    Parameters
    ----------
    draw
        Makes the figures, by name.
    data
        What stands beside each of them.
    captions
        Of those that are wanted, by name.
    style
        Sizes and letters.
    """
    # Any: Matplotlib's stubs want each key as a literal.
    settings: Any = {"figure.max_open_warning": 0, "axes.prop_cycle": cycler(color=palette(8))}
    with theme(style), plt.ioff(), matplotlib.rc_context(settings):
        made = draw()
        try:
            for name in captions:
                _dress(made[name], name, style)
            yield [Drawn(name, made[name], data, caption) for name, caption in captions.items()]
        finally:
            for figure in made.values():
                plt.close(figure)


def _dress(figure: Figure, name: str, style: Style) -> None:
    """Give a figure the width of the text, heights by its rows, and the style's letters.

    ArviZ sets sizes by its own idea of the page, and places titles where they run into the labels
    of the row above.
    """
    shown = [ax for ax in figure.axes if ax.get_visible()]
    titles = [ax.title for ax in shown]
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(style.small)
    for title in titles:
        # "z" above "point 0, unit 7": there is no other variable.
        title.set_text(title.get_text().removeprefix("z\n"))
    if name != "forest":  # whose widths tell intervals apart
        for line in (line for ax in shown for line in ax.get_lines()):
            line.set_linewidth(min(line.get_linewidth(), 0.8 * style.scale))
    grids = [spec.get_gridspec() for ax in shown if (spec := ax.get_subplotspec()) is not None]
    rows = max((grid.nrows for grid in grids), default=1)
    height = _ROW * rows + 0.35
    width = style.text
    if name == "forest":
        # ArviZ 1.x writes names as texts into panels of their own, 0.x at the ticks.
        lines = max(max(len(ax.get_yticks()), len(ax.texts)) for ax in shown)
        height, width = _LINE * lines + 0.6, style.column
    elif rows == 1:
        height = 2.2
    _name_axes(shown, _ALONG.get(name, ()), style)
    figure.set_size_inches(width, height * style.scale)
    figure.set_layout_engine("constrained")


def _name_axes(shown: list[Axes], along: tuple[str, ...], style: Style) -> None:
    """Name the horizontal axes of the last row of each column, where ArviZ has not."""
    lowest: dict[int, tuple[int, Axes]] = {}
    for ax in shown:
        spec = ax.get_subplotspec()
        assert spec is not None
        column, row = spec.colspan.start, spec.rowspan.stop
        if row > lowest.get(column, (0, ax))[0]:
            lowest[column] = (row, ax)
    for column, (_, ax) in lowest.items():
        if along and not ax.get_xlabel():
            ax.set_xlabel(along[column % len(along)], fontsize=style.small)
