"""Forest plots: by how much each level of each factor, and each pair, moves each metric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pyrovae.measures.scores import Score, score_of
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten

#: Inches for a level.
_ROW = 0.17
_NAME_WIDTH = 30


@carries_mark
def effects(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the main effects of the stored comparison, a panel for each metric.

    Returns
    -------
    Drawn
        ``data`` has a row for each metric and effect: ``term``, ``level``, ``mean``, ``low``,
        ``high`` in the metric's unit, ``positive``, the probability that it is above zero, and
        ``equivalence``, the half width of the region of practical equivalence of a difference,
        which is shaded (NaN for metrics that are compared by ratios).

    Raises
    ------
    NothingToDraw
        If the study is not analysed, or nothing varies, or no metric's chains passed.
    """
    analysis, encoding = presented.analysis, presented.encoding
    if not analysis.factors:
        raise NothingToDraw("nothing varies, so nothing has an effect")
    table = analysis.table("effects")
    rows = {
        (factor, level): _Row(names.wrapped(text, _NAME_WIDTH), colour, factor)
        for factor in sorted(analysis.factors, key=[*encoding.labels, *analysis.factors].index)
        for level, (text, colour) in _levels(table, encoding, factor).items()
    }
    what = "Main effects: how far the mean of a level lies from the mean of all levels."
    return _forest("effects", presented, rows, what, style)


@carries_mark
def interactions(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the interactions of the stored comparison: a figure for each pair of factors.

    Yields
    ------
    Drawn
        As :func:`effects`. The ``level`` is that of the first factor, a colon, and the second's.

    Raises
    ------
    NothingToDraw
        As :func:`effects`, or if fewer than two factors vary together.
    """
    analysis, encoding = presented.analysis, presented.encoding
    if not analysis.factors:
        raise NothingToDraw("nothing varies, so nothing interacts")
    table = analysis.table("effects")
    pairs = [
        pair
        for pair in itertools.combinations(analysis.factors, 2)
        if table.empty or ":".join(pair) in set(table["term"])
    ]
    if not pairs:
        raise NothingToDraw("no two factors vary together, so nothing interacts")
    levels = {factor: _levels(table, encoding, factor) for factor in analysis.factors}
    for first, second in pairs:
        rows = {
            (f"{first}:{second}", f"{a}:{b}"): _Row(
                names.wrapped(f"{one}, {other}", 2 * _NAME_WIDTH), colour, a
            )
            for a, (one, colour) in levels[first].items()
            for b, (other, _) in levels[second].items()
        }
        what = (
            f"Interactions of {_noun(first)} and {_noun(second)}: what a pair of "
            "levels adds to the mean beyond the main effects of both."
        )
        name = "-".join(
            ["interactions", *(names.slug(f.replace(".", " ")) for f in (first, second))]
        )
        yield _forest(name, presented, rows, what, style)


def _noun(factor: str) -> str:
    """Return a factor inside a sentence: a setting by its title, a part by its name."""
    return names.title(factor).lower() if "." in factor else names.words(factor)


def _levels(table: pd.DataFrame, encoding: Encoding, factor: str) -> dict[str, tuple[str, Any]]:
    """Return text and colour of each level of a factor, in the order of the comparison."""
    if table.empty:
        return {}
    levels = table.loc[table["term"] == factor, "level"].astype(str).drop_duplicates()
    colours = encoding.level_colours(factor)
    # A prior and a posterior may have the same name, so the factor is said with it.
    return {
        level: (encoding.level_phrase(factor, level), colours.get(level, GREY)) for level in levels
    }


@dataclass(frozen=True)
class _Row:
    """A line of the forest: its name, its colour, and the group that a rule sets apart."""

    name: str
    colour: Any
    group: str


def _forest(
    name: str,
    presented: Presented,
    rows: Mapping[tuple[str, str], _Row],
    what: str,
    style: Style,
) -> Drawn:
    """Draw intervals of effects, a panel for each metric, a line for each row that is known."""
    analysis = presented.analysis
    table, refused = analysis.table("effects"), analysis.refused()
    if table.empty:
        raise NothingToDraw(f"no metric's chains passed: {_refused(refused)}")
    known = list(zip(table["term"], table["level"].astype(str), strict=True))
    data = table[[key in rows for key in known]].assign(equivalence=math.nan)
    rows = {key: row for key, row in rows.items() if key in set(known)}
    metrics = data["metric"].drop_duplicates().tolist()
    across = _across(len(metrics))
    down = -(-len(metrics) // across)
    with theme(style):
        lines = sum(row.name.count("\n") + 1 for row in rows.values())
        height = down * (lines * _ROW + 0.55) * style.scale
        width = style.text if across > 2 else style.column
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        for ax in grid.flat[len(metrics) :]:
            ax.set_axis_off()
        for metric, ax in zip(metrics, grid.flat, strict=False):
            _draw(ax, data[data["metric"] == metric], rows, style)
            score = score_of(metric)
            equal = _equivalence(analysis.about["metrics"][metric], score)
            _shade(ax, equal)
            data.loc[data["metric"] == metric, "equivalence"] = equal
            ax.set_title(names.wrapped(score.title, 22))
            ax.set_xlabel(f"Effect ({score.unit})" if score.unit else "Effect")
        figure.align_xlabels()
        tighten(figure)
    left_out = f" Without conclusion, and not shown: {_refused(refused)}." if refused else ""
    caption = (
        f"{what} Points: posterior means of the hierarchical model; bars: "
        f"{analysis.about['level']:.0%} intervals; bold with a filled point where they leave out "
        "zero, thin with a hollow one where they do not. Shaded: differences that are practically "
        f"none{_unshaded(data)}."
        f"{left_out} {captions.seeds(presented).capitalize()} a cell. "
        f"{captions.setting(presented)}"
    )
    return Drawn(name, figure, data.reset_index(drop=True), caption.strip())


def _across(panels: int) -> int:
    """Return how many panels stand side by side: four or three, as leaves fewer places empty."""
    return panels if panels < 5 else min((4, 3), key=lambda across: -panels % across)


def _refused(reasons: dict[str, str]) -> str:
    return "; ".join(f"{score_of(key).title} ({reason})" for key, reason in reasons.items())


def _equivalence(entry: Mapping[str, Any], score: Score) -> float:
    """Return the half width of practical equivalence in the score's unit; NaN for ratios."""
    ratio = entry.get("kind", score.kind) == "positive"
    return math.nan if ratio else float(entry["rope"])


def _shade(ax: Axes, equal: float) -> None:
    """Shade what is practically none, and leave the axis to the intervals."""
    if not math.isnan(equal):
        shown = ax.get_xlim()
        ax.axvspan(-equal, equal, color="0.93", lw=0, zorder=-1)
        ax.set_xlim(shown)


def _unshaded(data: pd.DataFrame) -> str:
    ratios = data.loc[data["equivalence"].isna(), "metric"].drop_duplicates()
    if ratios.empty:
        return ""
    titles = names.listed([score_of(metric).title for metric in ratios])
    return f" (of {titles} that is a ratio, and not shown)"


def _draw(ax: Axes, data: pd.DataFrame, rows: Mapping[tuple[str, str], _Row], style: Style) -> None:
    found = {(row.term, str(row.level)): row for row in data.itertuples()}
    ax.axvline(0, color=GREY, lw=0.6 * style.scale, zorder=0)
    group = None
    for y, (key, line) in enumerate(rows.items()):
        if group not in (None, line.group):
            ax.axhline(y - 0.5, color=LIGHT_GREY, lw=0.5 * style.scale, zorder=0)
        group = line.group
        row = found.get(key)
        if row is None:
            continue
        sure = row.low > 0 or row.high < 0
        ax.plot(
            [row.low, row.high],
            [y, y],
            color=line.colour,
            lw=(1.8 if sure else 0.8) * style.scale,
            solid_capstyle="butt",
        )
        ax.plot(
            row.mean,
            y,
            marker="o",
            ms=3.5 * style.scale,
            color=line.colour,
            mfc=line.colour if sure else "white",
            mew=0.8 * style.scale,
        )
    ax.set_yticks(range(len(rows)), [line.name for line in rows.values()])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    # "0" and no "0.000", which would run into its neighbours.
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    )
    ax.margins(x=0.08)
