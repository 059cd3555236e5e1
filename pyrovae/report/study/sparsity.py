"""Does sparsity go along with disentanglement? Each score against the number of active units."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pyrovae.analysis.active import count_of, criterion, first_of
from pyrovae.analysis.rank_correlation import (
    ENOUGH_RUNS,
    LEVEL,
    RankCorrelation,
    rank_correlation,
    within_cells,
)
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.legends import colour_group, legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import disentanglement_scores
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten

#: Part of a count that its runs are spread over.
_SPREAD = 0.5


@carries_mark
def sparsity(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw each disentanglement score against the number of active units, a point for each run.

    What the study varies moves both: the correlation over all runs would compare its cells. Told is
    that of the seeds within each cell (:func:`pyrovae.analysis.rank_correlation.within_cells`).

    Returns
    -------
    Drawn
        ``data`` has a row for each score and ``group``: within cells, and among the runs of each
        level of the second label, if there is one. ``correlation``, Spearman's with the number of
        active units, ``low``, ``high`` (95 % bootstrap interval over cells, from six cells on),
        ``n`` runs, ``cells``, and ``no_interval``, why there is no interval where there is none.

    Raises
    ------
    NothingToDraw
        If there is no score, the number of active units is the same in all runs, or some have
        not settled.
    """
    runs = presented.runs
    scores = [first_of(runs, score) for score in disentanglement_scores(runs)]
    if not scores:
        raise NothingToDraw("the data has no ground-truth factors, so no score compares with them")
    count = count_of(runs)
    if len(runs) < ENOUGH_RUNS or runs[count.key].nunique() < 2:
        raise NothingToDraw(
            f"an association takes {ENOUGH_RUNS} runs that differ in their number of active units"
        )
    presented.conclude()
    found = {score.key: within_cells(runs, count.key, score.key) for score in scores}
    encoding = presented.encoding
    with theme(style):
        figure, axes, _ = panels(len(scores), style, height=1.25, extra=0.4, share="none")
        for score, ax in zip(scores, axes, strict=True):
            sns.scatterplot(
                runs.assign(**{count.key: _apart(runs, count.key)}),
                x=count.key,
                y=score.key,
                hue=encoding.first,
                palette=encoding.colours(),
                style=encoding.second,
                markers=encoding.markers() if encoding.second else True,
                s=10 * style.scale**2,
                alpha=0.8,
                linewidth=0,
                legend=False,
                ax=ax,
            )
            _chance(ax, presented, score.key)
            ax.set(xlabel="", ylabel=names.wrapped(score.axis_label, 20))
            ax.set_title(_told(found[score.key]), color=GREY, fontsize=style.small)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            ax.margins(0.08)
        figure.supxlabel(count.axis_label)
        groups = [colour_group(encoding, linestyle="", marker="o")]
        if encoding.second:
            groups.append(marker_group(encoding))
        legend_above(figure, groups)
        tighten(figure)
    missing = "; ".join(dict.fromkeys(r.no_interval for r in found.values() if r.no_interval))
    interval = f"with its {LEVEL:.0%} bootstrap interval over cells"
    if missing:
        some = "" if all(r.no_interval for r in found.values()) else f"{interval}, or "
        interval = f"{some}without an interval ({missing})"
    caption = (
        "Disentanglement scores against the number of active units, a point for each run, "
        "those of the same count spread sideways; scores of active units alone where they are "
        f"known. ρ: Spearman correlation of the seeds within each cell, over all cells, "
        f"{interval}; cells whose seeds agree do not count. Over all runs it would compare the "
        f"cells: what was varied moves both. {criterion(runs)}{captions.chance(presented.chance)} "
        f"{captions.setting(presented)}"
    )
    return Drawn("sparsity", figure, _by_group(presented, found, count.key), caption.strip())


def _apart(runs: pd.DataFrame, count: str) -> pd.Series:
    """Return counts with runs of the same count spread a little: they would hide each other."""
    place, many = runs.groupby(count).cumcount(), runs.groupby(count)[count].transform("size")
    return runs[count] + _SPREAD * ((place + 0.5) / many - 0.5)


def _chance(ax: Axes, presented: Presented, key: str) -> None:
    """Draw the chance level of all cells, where it was measured: a line, and a band around it."""
    known = presented.chance[presented.chance["score"] == key]
    if len(known):
        ax.axhspan(
            known["chance_low"].min(), known["chance_high"].max(), color="0.92", lw=0, zorder=0
        )
        ax.axhline(known["chance"].mean(), color=GREY, lw=0.6, zorder=0)


def _told(found: RankCorrelation) -> str:
    if math.isnan(found.correlation):
        return "in cells no ρ"
    interval = "" if found.no_interval else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"in cells ρ = {found.correlation:.2f}{interval}".replace("-", "−").replace(" [", "\n[")


def _by_group(
    presented: Presented, found: Mapping[str, RankCorrelation], count: str
) -> pd.DataFrame:
    """Return the correlations within cells, and of the runs of each level of the second label."""
    encoding, runs = presented.encoding, presented.runs
    rows = [{"score": key, "group": "within cells", **r._asdict()} for key, r in found.items()]
    for level in encoding.seconds() if encoding.second else []:
        part = runs[runs[encoding.second] == level]
        group = encoding.phrase(str(encoding.second), level)
        rows += [
            {"score": key, "group": group, **rank_correlation(part, count, key)._asdict()}
            for key in found
        ]
    return pd.DataFrame(rows)
