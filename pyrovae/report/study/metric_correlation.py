"""Do the metrics agree? Their rank correlation over the runs of a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyrovae.analysis.active import first_of
from pyrovae.analysis.rank_correlation import ENOUGH_RUNS, rank_correlation, within_cells
from pyrovae.measures.scores import Score, score_of
from pyrovae.report.escapes import figure_text
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import disentanglement_scores
from pyrovae.report.look.style import PAPER, Style, theme, tighten


@carries_mark
def metric_correlation(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the Spearman correlation of each pair of disentanglement scores.

    Below the diagonal over all runs, as Locatello et al. 2019 (arXiv:1811.12359), figure 2, do for
    one data set: what a study varies moves all scores, and they agree where cells differ. Above it
    that of the seeds within each cell (:func:`pyrovae.analysis.rank_correlation.within_cells`).

    Returns
    -------
    Drawn
        ``data`` has a row for each pair: ``score``, ``other``, ``correlation``, ``low``, ``high``
        (95 % bootstrap interval over cells, from six cells on), ``n`` runs, ``cells``, and
        ``no_interval``, why there is no interval where there is none; and the same of the seeds
        within cells, under names that begin with ``within_``.

    Raises
    ------
    NothingToDraw
        If there are fewer than two scores or too few runs, or some have not settled.
    """
    all_units = disentanglement_scores(presented.runs)
    # Axes are named by the score, their caption says of which units it is.
    titles = {first_of(presented.runs, s).key: figure_text(s.title) for s in all_units}
    scores = [score_of(key) for key in titles]
    if len(scores) < 2 or len(presented.runs) < ENOUGH_RUNS:
        raise NothingToDraw(
            f"a correlation of metrics takes two of them and {ENOUGH_RUNS} runs, here are "
            f"{len(scores)} and {len(presented.runs)}"
        )
    presented.conclude()
    data = pd.DataFrame(
        [
            {
                "score": a.key,
                "other": b.key,
                **rank_correlation(presented.runs, a.key, b.key)._asdict(),
                **{
                    f"within_{name}": value
                    for name, value in within_cells(presented.runs, a.key, b.key)._asdict().items()
                },
            }
            for i, a in enumerate(scores)
            for b in scores[:i]
        ]
    )
    keys = list(titles)
    matrix = pd.DataFrame(np.nan, index=keys, columns=keys)
    for row in data.itertuples():
        matrix.loc[row.score, row.other] = row.correlation
        matrix.loc[row.other, row.score] = row.within_correlation
    with theme(style):
        size = style.column if len(keys) <= 8 else style.text
        # Few scores need no square: rows of two lines' height are enough.
        height = min(0.8 * size, (0.45 * len(matrix) + 0.8) * style.scale)
        figure = Figure(figsize=(size, height), layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            matrix,
            mask=matrix.isna(),
            vmin=-1,
            vmax=1,
            cmap="vlag",
            annot=matrix.map(lambda value: f"{value:.2f}".replace("-", "\N{MINUS SIGN}")),
            fmt="",
            annot_kws={"size": style.small},
            linewidths=0.4,
            cbar_kws={"label": "Spearman correlation", "ticks": [-1, 0, 1], "shrink": 0.7},
            xticklabels=[titles[key] for key in keys],
            yticklabels=[titles[key] for key in keys],
            ax=ax,
        )
        ax.tick_params(length=0)
        _turn_if_long(ax, [titles[key] for key in keys], size, style)
        ax.tick_params(axis="y", labelrotation=0)
        tighten(figure)
    caption = (
        f"Spearman rank correlation of the disentanglement scores{_units(all_units, keys)}: "
        f"below the diagonal over the {len(presented.runs)} runs of the study (Locatello et al. "
        "2019, figure 2), where it compares the cells too; above it of the seeds within each cell, "
        "over all cells. "
        f"{_intervals(data)} {captions.setting(presented)}"
    )
    return Drawn("metric-correlation", figure, data, caption.strip())


def _turn_if_long(ax: Axes, titles: Sequence[str], size: float, style: Style) -> None:
    """Turn the names of columns that have no room, in a figure of this width."""
    # A letter is about half as wide as high; row names and colour bar take two inches' worth.
    room = (size - 1.6 * style.scale) / len(titles) * 72
    if max(map(len, titles)) * 0.5 * style.small > room:
        ax.tick_params(axis="x", labelrotation=45)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def _units(scores: Sequence[Score], keys: Sequence[str]) -> str:
    only = [score.title for score in scores if score.key not in keys]
    return f", of the active units alone for {names.listed(only)}" if only else ""


def _intervals(data: pd.DataFrame) -> str:
    missing = data.loc[data["no_interval"] != "", "no_interval"]
    if len(missing) < len(data):
        return "Intervals are in the data file."
    return f"No intervals: {'; '.join(missing.drop_duplicates())}."
