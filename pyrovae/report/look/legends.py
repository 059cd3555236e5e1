"""Legends that fit a column, outside the axes, in groups with headings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from pyrovae.report.look import names
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.style import GREY

#: Heading and entries.
Group = tuple[str, list[Line2D]]
_WRAP = 24


def colour_group(encoding: Encoding, **line: Any) -> Group:
    """Return the entries of the first label, by colour."""
    entries = [
        _entry(encoding.show(encoding.first, value), color=colour, **line)
        for value, colour in encoding.colours().items()
    ]
    return names.title(encoding.first), entries


def line_group(encoding: Encoding) -> Group:
    """Return the entries of the first label, by colour and dash pattern."""
    title, entries = colour_group(encoding, linestyle="-")
    for entry, dashes in zip(entries, encoding.first_dashes().values(), strict=True):
        if dashes:
            entry.set_dashes(dashes)
    return title, entries


def marker_group(encoding: Encoding) -> Group:
    """Return the entries of the second label, by marker."""
    assert encoding.second
    entries = [
        _entry(encoding.show(encoding.second, value), color=GREY, marker=marker, linestyle="")
        for value, marker in encoding.markers().items()
    ]
    return names.title(encoding.second), entries


def _entry(label: str, **line: Any) -> Line2D:
    return Line2D([], [], label=names.wrapped(label, _WRAP), **line)


def legend_above(figure: Figure, groups: Sequence[Group]) -> Legend:
    """Put a legend above everything: one group in rows, several as columns side by side."""
    legend = _legend_above(figure, groups)
    # Figures are drawn with room for two rows: more are not taken from the panels.
    planned = 2.5 * float(legend.get_texts()[0].get_fontsize()) / 72
    needed = legend.get_window_extent().height / figure.dpi
    figure.set_figheight(figure.get_figheight() + max(0.0, needed - planned))
    return legend


def _legend_above(figure: Figure, groups: Sequence[Group]) -> Legend:
    shown = [group for group in groups if group[1]]
    if len(shown) == 1:
        return _bold(_flowing(figure, shown[0]), [shown[0][0]])
    # Matplotlib fills a legend column by column: all columns are made equally long.
    columns = [[_heading(title), *entries] for title, entries in shown]
    padded = zip(*zip_longest(*columns, fillvalue=_heading("")), strict=True)
    handles: list[Artist] = [handle for column in padded for handle in column]
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=len(shown))
    return _bold(legend, [title for title, _ in shown])


def legend_in(ax: Axes, group: Group) -> Legend:
    """Put a legend into a panel that is free, its axes switched off."""
    title, entries = group
    legend = ax.legend(handles=entries, loc="center", title=title)
    legend.get_title().set_fontweight("bold")
    return legend


def _flowing(figure: Figure, group: Group) -> Legend:
    """Use as many columns as the figure is wide enough for."""
    title, entries = group
    for rows in range(1, len(entries) + 1):
        columns = math.ceil(len(entries) / rows)
        # The heading stands in a column of its own, in the first row.
        heading = [_heading(title), *(_heading("") for _ in range(rows - 1))]
        legend = figure.legend(
            handles=[*heading, *entries], loc="outside upper center", ncols=columns + 1
        )
        if columns == 1 or legend.get_window_extent().width < 0.98 * figure.bbox.width:
            return legend
        legend.remove()
    raise AssertionError("a legend has at least one column")


def _bold(legend: Legend, titles: Sequence[str]) -> Legend:
    for text in legend.get_texts():
        if text.get_text() in titles:
            text.set_fontweight("bold")
    return legend


def _heading(text: str) -> Line2D:
    return Line2D([], [], linestyle="", label=text or " ")
