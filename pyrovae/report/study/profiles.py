"""Performance profiles (Agarwal et al. 2021): how many runs of a level reach a score."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pyrovae.analysis.bootstrap import ENOUGH, ENOUGH_IN_TASK
from pyrovae.measures.scores import score_of
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.legends import legend_above, line_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten


@carries_mark
def performance_profiles(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the profile of each level of the first label, a panel for each metric that has a best.

    Returns
    -------
    Drawn
        ``data``: ``metric``, ``factor``, ``level``, ``threshold`` in the metric's unit, ``share``
        of runs above it, ``low`` and ``high`` of its pointwise band.

    Raises
    ------
    NothingToDraw
        If the study is not analysed, or nothing varies.
    """
    analysis, encoding = presented.analysis, presented.encoding
    table = analysis.table("profiles")
    ranked = [key for key in analysis.about["metrics"] if score_of(key).direction]
    if not table.empty:
        table = table[(table["factor"] == encoding.first) & table["metric"].isin(ranked)]
    if table.empty:
        raise NothingToDraw("nothing varies, so no profiles can be compared")
    metrics = table["metric"].drop_duplicates().tolist()
    with theme(style):
        figure, axes, _ = panels(len(metrics), style, height=1.25, extra=0.45, share="none")
        for metric, ax in zip(metrics, axes, strict=True):
            _draw(ax, table[table["metric"] == metric], encoding)
            score = score_of(metric)
            ax.set_xlabel(names.wrapped(score.axis_label, 26))
            ax.set_title(score.direction, fontsize=style.small, loc="right")
        figure.supylabel("Runs above (share)")
        legend_above(figure, [line_group(encoding)])
        tighten(figure)
    rest = [label for label in encoding.labels if label != encoding.first]
    tasks = f" averaged over {' and '.join(names.title(k).lower() for k in rest)}" if rest else ""
    caption = (
        f"Performance profiles by {names.title(encoding.first).lower()}: the share of runs whose "
        f"score is above a threshold,{tasks or ' over all seeds'} (Agarwal et al. 2021). "
        f"{_bands(table, analysis.about['level'])} {captions.setting(presented)}"
    )
    return Drawn("performance-profiles", figure, table.reset_index(drop=True), caption.strip())


def _bands(table: pd.DataFrame, level: float) -> str:
    needed = f"{ENOUGH_IN_TASK} runs of each combination and {ENOUGH} in all"
    if table["low"].isna().all():
        return f"No bands: they take {needed}."
    return (
        f"Bands: pointwise {level:.0%} intervals of the stratified bootstrap, which with few seeds "
        f"are a little too narrow; they take {needed}."
    )


def _draw(ax: Axes, data: pd.DataFrame, encoding: Encoding) -> None:
    colours, dashes = encoding.colours(), encoding.first_dashes()
    for level, colour in colours.items():
        part = data[data["level"].astype(str) == str(level)]
        (line,) = ax.plot(part["threshold"], part["share"], color=colour)
        if dashes[level]:
            line.set_dashes(dashes[level])
        ax.fill_between(
            part["threshold"], part["low"], part["high"], color=colour, alpha=0.15, lw=0
        )
    ax.set_ylim(-0.03, 1.03)
    ax.set_yticks([0, 0.5, 1])
    ax.margins(x=0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
