"""Cells side by side by held-out log p(x): az.compare as a table and a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.analysis.heldout import compare_cells
from pyrovae.core import atomic
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.formats import files
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented, present
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten
from pyrovae.study.store.results import StudyResults

#: Test points that error bars need: the spread of fewer says too little of that of all.
ENOUGH_POINTS = 6


@carries_mark
def comparison(presented: Presented, table: pd.DataFrame, *, style: Style = PAPER) -> Drawn:
    """Draw how far each cell is below the best, with the paired standard error over the points.

    Parameters
    ----------
    presented
        The study whose cells they are.
    table
        From :func:`pyrovae.analysis.heldout.compare_cells`.
    """
    titles = [presented.titles[cell] for cell in table["cell"]]
    y = np.arange(len(table))
    with theme(style):
        figure = Figure(figsize=(style.column, 0.6 + 0.36 * len(table)), layout="constrained")
        ax = figure.subplots()
        ax.axvline(0, color=GREY, linewidth=0.6, dashes=(4, 2))
        bars = 2 * table["dse"].where(table["points"] >= ENOUGH_POINTS)
        first = presented.runs.drop_duplicates("cell").set_index("cell")
        for place, row in zip(y, table.assign(bar=bars).to_dict("records"), strict=True):
            colour, marker = presented.encoding.look(first.loc[row["cell"]].to_dict())
            bar = None if np.isnan(row["bar"]) else row["bar"]
            ax.errorbar(-row["difference"], place, xerr=bar, fmt=marker, color=colour)
        ax.set_yticks(y, [names.wrapped(title, 34) for title in titles])
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.set_xlabel("Held-out log p(x) less the best (nats)")
        tighten(figure)
    caption = (
        "Held-out log p(x) per datum of each cell (importance-weighted bound, mean over seeds) "
        "less that of the best cell, ± 2 standard errors of the difference, paired over test "
        f"points (az.compare; from {ENOUGH_POINTS} points on). Not in these intervals: the "
        "spread over seeds, which is in the table and may be larger."
    )
    return Drawn("comparison", figure, table, caption)


def write_comparison(
    study: StudyResults, *, points: int, unsettled: bool = False, style: Style = PAPER
) -> tuple[pd.DataFrame, Path]:
    """Compare a study's cells; write table and figure to its folder ``diagnostics``.

    Returns
    -------
    DataFrame
        See :func:`pyrovae.analysis.heldout.compare_cells`.
    Path
        The figure's stem.
    """
    table = compare_cells(study, points=points, unsettled=unsettled)
    drawn = comparison(present(study), table, style=style)
    stem = study.store.root / "diagnostics" / drawn.name
    for suffix, content in files(drawn, style).items():
        atomic.write_bytes(stem.with_suffix(f".{suffix}"), content)
    shown = table.drop(columns="cell")
    return shown.round(dict.fromkeys(shown.select_dtypes("float"), 3)), stem
