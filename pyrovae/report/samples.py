"""Samples: what each cell's model draws when nothing is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.report import names
from pyrovae.report.drawn import Drawn
from pyrovae.report.encoding import Encoding, encode
from pyrovae.report.mosaics import fit_height, show
from pyrovae.report.style import PAPER, Style, theme, tighten
from pyrovae.report.representatives import first_runs
from pyrovae.study.results import StudyResults

#: At most so many samples a side.
_SIDE = 5
#: Grids of samples side by side in a column.
_ACROSS = 3


def samples(study: StudyResults, *, style: Style = PAPER) -> list[Drawn]:
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
    encoding = encode(study)
    made = []
    for title, part in encoding.panels(first_runs(study), encoding.others):
        with theme(style):
            draw = _crossed if encoding.second else _wrapped
            figure = draw(study, encoding, part, style)
            above = [names.wrapped(title, 50)] if title else []
            if encoding.second:
                above.append(names.title(encoding.second))
                figure.supylabel(names.title(encoding.first))
            figure.suptitle("\n".join(above))
            tighten(figure)
            fit_height(figure)
        where = f" {title}." if title else ""
        caption = (
            f"Samples from each cell's model: E[x|z] with z from the prior.{where} The first "
            "finished seed of each cell."
        )
        name = f"samples-{names.slug(title)}" if title else "samples"
        data = part[["run", *encoding.labels, "seed"]].reset_index(drop=True)
        made.append(Drawn(name, figure, data, caption))
    return made


def _crossed(study: StudyResults, encoding: Encoding, part: pd.DataFrame, style: Style) -> Figure:
    firsts, seconds = encoding.levels[encoding.first], encoding.seconds()
    figure, grid = _grid(len(firsts), len(seconds), style)
    for first, axes in zip(firsts, grid, strict=True):
        for second, ax in zip(seconds, axes, strict=True):
            found = part[(part[encoding.first] == first) & (part[encoding.second] == second)]
            if found.empty:
                _blank(ax)
            else:
                show(ax, _square(study, found["run"].iloc[0]))
    for first, ax in zip(firsts, grid[:, 0], strict=True):
        ax.set_ylabel(_title(encoding, encoding.first, first), fontsize=style.small)
    for second, ax in zip(seconds, grid[0], strict=True):
        ax.set_title(_title(encoding, encoding.second, second), fontsize=style.small)
    return figure


def _wrapped(study: StudyResults, encoding: Encoding, part: pd.DataFrame, style: Style) -> Figure:
    across = 2 if len(part) == 4 else min(len(part), _ACROSS)
    figure, grid = _grid(math.ceil(len(part) / across), across, style)
    for ax in grid.flat[len(part) :]:
        _blank(ax)
    for row, ax in zip(part.itertuples(), grid.flat, strict=False):
        show(ax, _square(study, row.run))
        ax.set_title(names.wrapped(encoding.cell_title(row), 22), fontsize=style.small)
    return figure


def _grid(rows: int, columns: int, style: Style) -> tuple[Figure, np.ndarray]:
    width = style.column if columns <= _ACROSS else style.text
    figure = Figure(figsize=(width, rows * width / columns + 1), layout="compressed")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _square(study: StudyResults, run: str) -> Tensor:
    drawn = study.folder(run).images()["samples"]
    side = min(_SIDE, math.isqrt(len(drawn)))
    return drawn[: side * side].unflatten(0, (side, side))


def _title(encoding: Encoding, label: str | None, value: Any) -> str:
    assert label
    return names.wrapped(encoding.show(label, value), 18)


def _blank(ax: Axes) -> None:
    ax.set_axis_off()
