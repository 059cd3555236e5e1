"""Samples: what each cell's model draws when nothing is given."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.measures.neighbours import LOOKED_AT
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.mosaics import blocks, fit, framed, show
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.shown import shown
from pyrovae.report.look.style import PAPER, Style, theme, tighten

#: Rows (at most) and columns of a cell's samples, where cells stand side by side, and where not.
_CROSSED, _STRIP = (5, 5), (3, 10)
#: Inches that all samples may be high: with a caption they fill a page.
_HEIGHT = 7.5
#: Cells side by side in one column of a paper.
_ACROSS = 3


@carries_mark
def samples(presented: Presented, *, style: Style = PAPER) -> list[Drawn]:
    """Draw samples E[x|z], z from the prior: first label down, second label across.

    Returns
    -------
    list of Drawn
        One for each combination of the other labels; ``data`` has a row for each grid.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    encoding = presented.encoding
    made = []
    for title, part in encoding.panels(presented.representatives, encoding.others):
        with theme(style):
            wide = len(encoding.seconds()) > _ACROSS
            width = style.text if wide else style.column
            figure = Figure(figsize=(width, _HEIGHT))
            ax = figure.subplots()
            _draw(ax, presented, part, width)
            ax.set_title(names.wrapped(title, 44))
            tighten(figure)
            fit(figure, ax)
        where = f" {title}." if title else ""
        told = shown(presented, part["run"])
        caption = (
            f"Samples from each cell's model: {told} with z from the prior.{where} "
            f"{_neighbours(presented, part['run'])}The first finished seed of each cell."
        )
        name = f"samples-{names.slug(title)}" if title else "samples"
        data = part[["run", *encoding.labels, "seed"]].reset_index(drop=True)
        made.append(Drawn(name, figure, data, caption))
    return made


def _neighbours(presented: Presented, runs: Iterable[str]) -> str:
    """Return what the framed row is, or what some runs lack for one."""
    known = ["nearest" in presented.study.folder(run).images() for run in runs]
    if not any(known):
        return ""
    some = "" if all(known) else ", where they are stored"
    return (
        f"Framed{some}: the training image (of the first {LOOKED_AT:,}) that is nearest to the "
        "sample above it, by Euclidean distance. "
    )


def _draw(ax: Axes, presented: Presented, cells: pd.DataFrame, width: float) -> None:
    encoding = presented.encoding
    firsts, seconds = encoding.levels[encoding.first], encoding.seconds()
    rows_at_most, across = _CROSSED if encoding.second else _STRIP
    tile = width / (len(seconds) * across)
    block = (max(1, min(rows_at_most, int(_HEIGHT / tile) // len(firsts))), across)
    grid: list[list[Tensor | None]] = []
    for first in firsts:
        row = cells[cells[encoding.first] == first]
        runs = row if not encoding.second else row.set_index(encoding.second).reindex(seconds)
        grid.append([_block(presented, run, block) for run in runs["run"]] or [None])
    shown = [i for i, row in enumerate(grid) if any(images is not None for images in row)]
    rows = [names.wrapped(encoding.show(encoding.first, firsts[i]), 18) for i in shown]
    columns = []
    if encoding.second:
        columns = [names.wrapped(encoding.show(encoding.second, v), 18) for v in seconds]
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.set_xlabel(names.title(encoding.second), labelpad=4)
        # Upright names would take the room of a block.
        ax.tick_params(axis="y", labelrotation=90)
    show(ax, blocks([grid[i] for i in shown]), rows=rows, columns=columns)
    for label in ax.get_yticklabels():
        label.set_verticalalignment("center")
    ax.set_ylabel(names.title(encoding.first))


def _block(presented: Presented, run: object, shape: tuple[int, int]) -> Tensor | None:
    """Return some samples of a run as ``(rows, columns, *event)``; ``None`` if there is no run."""
    if not isinstance(run, str):
        return None
    images = presented.study.folder(run).images()
    drawn, nearest = images["samples"], images.get("nearest")
    columns = min(shape[1], len(drawn))
    rows = min(shape[0], len(drawn) // columns)
    grid = drawn[: rows * columns].unflatten(0, (rows, columns))
    if nearest is None or rows < 2:
        return grid
    # The last row shows what the row before it is nearest to.
    beside = framed(nearest[(rows - 2) * columns : (rows - 1) * columns])
    return torch.cat([grid[:-1].expand(-1, -1, beside.shape[1], -1, -1), beside[None]])
