"""Does sparsity go along with disentanglement? Each score against the number of active units."""

from __future__ import annotations

import pandas as pd

from pyrovae.analysis.active import count_of, criterion
from pyrovae.analysis.rank_correlation import ENOUGH_RUNS, LEVEL, rank_correlation
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.legends import colour_group, legend_above, legend_in
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import disentanglement_scores
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten


@carries_mark
def sparsity(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw each disentanglement score against the number of active units, a point for each run.

    Returns
    -------
    Drawn
        ``data`` has a row for each score: ``correlation``, Spearman's with the number of active
        units, ``low``, ``high`` (95 % bootstrap interval over cells, from six cells on), ``n``
        runs, ``cells``, and ``no_interval``, why there is no interval where there is none.

    Raises
    ------
    NothingToDraw
        If there is no score, the number of active units is the same in all runs, or some have
        not settled.
    """
    runs, scores = presented.runs, disentanglement_scores(presented.runs)
    if not scores:
        raise NothingToDraw("the data has no ground-truth factors, so no score compares with them")
    count = count_of(runs)
    if len(runs) < ENOUGH_RUNS or runs[count.key].nunique() < 2:
        raise NothingToDraw(
            f"an association takes {ENOUGH_RUNS} runs that differ in their number of active units"
        )
    presented.conclude()
    found = {score.key: rank_correlation(runs, count.key, score.key) for score in scores}
    encoding = presented.encoding
    colours, markers = encoding.colours(), encoding.first_markers()
    with theme(style):
        figure, axes, free = panels(len(scores), style, height=1.25, extra=0.4, share="none")
        for score, ax in zip(scores, axes, strict=True):
            for level, colour in colours.items():
                part = runs[runs[encoding.first] == level]
                ax.plot(
                    part[count.key],
                    part[score.key],
                    color=colour,
                    marker=markers[level],
                    ls="",
                    ms=3,
                    mew=0,
                    alpha=0.8,
                )
            r = found[score.key]
            ax.set_ylabel(names.wrapped(score.axis_label, 20))
            interval = "" if r.no_interval else f" [{r.low:.2f}, {r.high:.2f}]"
            told = f"ρ = {r.correlation:.2f}{interval}"
            ax.set_title(told.replace("-", "−"), color=GREY)
            ax.margins(0.08)
        figure.supxlabel(count.axis_label)
        group = colour_group(encoding, linestyle="")
        for entry, marker in zip(group[1], markers.values(), strict=True):
            entry.set_marker(marker)
        if free and len(group[1]) <= 8:
            legend_in(free[0], group)
        else:
            legend_above(figure, [group])
        tighten(figure)
    missing = "; ".join(dict.fromkeys(r.no_interval for r in found.values() if r.no_interval))
    interval = f"with its {LEVEL:.0%} bootstrap interval over cells"
    if missing:
        some = "" if all(r.no_interval for r in found.values()) else f"{interval}, or "
        interval = f"{some}without an interval ({missing})"
    caption = (
        "Disentanglement scores against the number of active units, a point for each run, by "
        f"{names.title(encoding.first).lower()}. ρ: Spearman correlation {interval}. An "
        f"association: what was varied moves both. {criterion(runs)} {captions.setting(presented)}"
    )
    rows = [{"score": key, **r._asdict()} for key, r in found.items()]
    return Drawn("sparsity", figure, pd.DataFrame(rows), caption.strip())
