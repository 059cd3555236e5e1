"""Scores by cell: a row for each level of the first label, a marker for each of the second.

Rows rather than columns, since names of priors are long and a paper's column is narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.analysis.active import criterion, first_of
from pyrovae.measures.disentanglement.udr import UDR
from pyrovae.measures.scores import Score, score_of
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.intervals import ENOUGH, summarise
from pyrovae.report.look.legends import legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import dimension_scores, disentanglement_scores
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten

#: Inches for each marker in a row, and at least for a row.
_MARKER_HEIGHT, _ROW_HEIGHT = 0.115, 0.26
#: Part of a row's height that its markers spread over.
_SPREAD = 0.72
#: Characters in a line of a row's name.
_NAME_WIDTH = 18
#: Scores side by side.
_ACROSS = 6


@carries_mark
def active_units(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the number of active units of each cell, and what other criteria say where they differ.

    Those are the informative units, those with Var(mu) > 0.01, and the effective dimension.

    Returns
    -------
    Drawn
        ``data`` has a row for each run and ``score``: ``value``, and ``mean``, ``low``, ``high``
        and ``n`` of its cell.
    """
    encoding = presented.encoding
    dims = presented.runs["latent_dim"].unique()
    unit = f"count, of {dims[0]}" if len(dims) == 1 else "count"
    shown = dimension_scores(presented.runs)
    scores = [replace(score, unit=unit) if score.kind == "count" else score for score in shown]
    figure, data = draw_scores(presented, scores, style)
    by = " and ".join(names.title(label).lower() for label in encoding.labels)
    others = "".join(f" {score.title}: {score.meaning}" for score in shown[1:])
    caption = (
        f"Active units by {by} on the test set. {criterion(presented.runs)}"
        f"{others} Small points: seeds; markers: "
        f"their mean. {captions.interval(presented, 'Bars')} {captions.setting(presented)}"
    )
    return Drawn("active-units", figure, data, caption.strip())


@carries_mark
def disentanglement(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw all disentanglement scores of each cell, a panel for each score.

    Returns
    -------
    Drawn
        ``data`` has a row for each run and score, as in :func:`active_units`.

    Raises
    ------
    NothingToDraw
        If no run has such a score: the data has no ground-truth factors.
    """
    encoding = presented.encoding
    all_units = disentanglement_scores(presented.runs)
    if not all_units:
        raise NothingToDraw("the data has no ground-truth factors, so no score compares with them")
    # Panels are named by the score, their caption says of which units it is.
    first = {score.key: first_of(presented.runs, score).key for score in all_units}
    scores = [replace(score, key=first[score.key]) for score in all_units]
    beside = {only: key for key, only in first.items() if key != only}
    figure, data = draw_scores(presented, scores, style, beside)
    by = " and ".join(names.title(label).lower() for label in encoding.labels)
    caption = (
        f"Disentanglement by {by}: posterior means against the ground-truth factors, on the test "
        f"set; higher is better, 1 is best{_exceptions(all_units)}. {_units(beside)}Small points: "
        f"seeds; markers: their mean. {captions.interval(presented, 'Bars')}"
        f"{captions.chance(data)} {captions.setting(presented)}"
    )
    return Drawn("disentanglement", figure, data, caption.strip())


def _units(beside: Mapping[str, str]) -> str:
    if not beside:
        return ""
    which = names.listed([score_of(key).title for key in beside.values()])
    return (
        f"Filled, of {which}: scores of the active units alone; hollow: means of the scores of all "
        "units, to which idle ones contribute whose means say nothing of their scale. "
    )


def _exceptions(scores: Sequence[Score]) -> str:
    """Return of which scores it does not hold that higher is better, or that they use factors."""
    told = []
    lower = [score.title for score in scores if score.better == "low"]
    if lower:
        told.append(f"of {names.listed(lower)}, lower is better")
    unknown = [score.title for score in scores if score.better == "neither"]
    if unknown:
        told.append(f"of {names.listed(unknown)}, no way is known to be better")
    if UDR in scores:
        told.append("UDR is agreement with the other seeds of the cell, without the factors")
    return "".join(f"; {text}" for text in told)


def draw_scores(
    presented: Presented,
    scores: Sequence[Score],
    style: Style,
    beside: Mapping[str, str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw scores side by side, and below each other for the labels beyond the second.

    ``beside`` names for some scores another one, whose means stand hollow in the same panel. Data
    have ``chance``, ``chance_low`` and ``chance_high`` of scores whose chance level is known.
    """
    encoding = presented.encoding
    by = encoding.labels
    beside = beside or {}
    others = [score_of(key) for key in beside.values()]
    data = pd.concat([_with_intervals(presented.runs, by, s) for s in (*scores, *others)])
    data = _with_chance(data, presented)
    levels = encoding.levels[encoding.first]
    lines = max(_name(encoding, level).count("\n") + 1 for level in levels)
    within = max(
        len(encoding.seconds()) * _MARKER_HEIGHT * style.scale,
        _ROW_HEIGHT * style.scale,
        1.15 * lines * style.small / 72,
    )
    blocks = encoding.panels(presented.runs, encoding.others)
    # Where labels are not crossed, most levels are missing from most panels.
    present = [
        [level for level in levels if (block[encoding.first] == level).any()] for _, block in blocks
    ]
    # Many scores stand in several bands, one below the other.
    bands = math.ceil(len(scores) / _ACROSS)
    across = math.ceil(len(scores) / bands)
    with theme(style):
        width = style.column if len(scores) <= 3 else style.text
        legend = 0.14 * (1 + len(encoding.seconds()) // 3) if encoding.second else 0
        rows = [len(shown) for shown in present for _ in range(bands)]
        height = sum(rows) * within + len(rows) * 0.2 * style.scale
        height += (0.45 * bands + legend) * style.scale
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(
            len(rows),
            across,
            sharex="col" if bands == 1 else False,
            sharey="row",
            height_ratios=rows,
            squeeze=False,
        )
        places = grid.reshape(len(blocks), bands * across)
        for ax in places[:, len(scores) :].flat:
            ax.set_axis_off()
        for (title, block), known, axes in zip(
            blocks, present, places[:, : len(scores)], strict=True
        ):
            for score, ax, first in zip(scores, axes, places[0], strict=False):
                if bands > 1 and ax is not first:
                    ax.sharex(first)
                part = data[data["run"].isin(block["run"])]
                shown = part[part["score"] == score.key]
                also = part[part["score"] == beside.get(score.key)]
                _draw(ax, shown, also, known, encoding, style, integer=score.kind == "count")
            if title:
                axes[0].set_title(names.wrapped(title, 60 // across), loc="left")
        for score, ax in zip(scores, places[-1], strict=False):
            # Two of them beside each other must not meet.
            room = 60 // across + 8 if width == style.text else 34 // across + 4
            ax.set_xlabel(names.wrapped(score.axis_label, room))
        for row in grid:
            row[0].set_ylabel(names.title(encoding.first))
        if encoding.second:
            legend_above(figure, [marker_group(encoding)])
        tighten(figure)
    return figure, data


def _name(encoding: Encoding, level: Any) -> str:
    """Return the name of a row."""
    return names.wrapped(encoding.show(encoding.first, level), _NAME_WIDTH)


def _with_intervals(runs: pd.DataFrame, by: list[str], score: Score) -> pd.DataFrame:
    shown = runs.assign(score=score.key, value=runs[score.key])
    table = shown[["run", *by, "seed", "score", "value"]]
    return table.merge(summarise(shown, by, "value", score), on=by)


def _with_chance(data: pd.DataFrame, presented: Presented) -> pd.DataFrame:
    """Add the chance level of each cell and score where it was measured."""
    known = presented.chance.drop(columns="n")
    known = known[known["score"].isin(data["score"])]
    if known.empty:
        return data
    cells = dict(zip(presented.runs["run"], presented.runs["cell"], strict=True))
    keyed = data.assign(cell=data["run"].map(cells))
    return keyed.merge(known, on=["cell", "score"], how="left").drop(columns="cell")


def _of_cell(data: pd.DataFrame, encoding: Encoding, first: Any, second: Any) -> pd.DataFrame:
    cell = data[data[encoding.first] == first]
    if encoding.second:
        cell = cell[cell[encoding.second] == second]
    return cell.dropna(subset=["value"])


def _chance(ax: Axes, summary: pd.Series, y: float, height: float) -> None:
    """Draw a cell's chance level: a line, and a band around it."""
    ends = [y - height / 2, y + height / 2]
    low, high = summary["chance_low"], summary["chance_high"]
    ax.fill_betweenx(ends, low, high, color="0.88", lw=0, zorder=1)
    ax.plot([summary["chance"]] * 2, ends, color=GREY, lw=0.7, zorder=1.5)


def _draw(
    ax: Axes,
    data: pd.DataFrame,
    beside: pd.DataFrame,
    levels: Sequence[Any],
    encoding: Encoding,
    style: Style,
    *,
    integer: bool,
) -> None:
    colours, markers = encoding.colours(), encoding.markers()
    seconds = encoding.seconds()
    step = _SPREAD / len(seconds)
    for i, first in enumerate(levels):
        for j, second in enumerate(seconds):
            cell, other = (_of_cell(table, encoding, first, second) for table in (data, beside))
            if cell.empty:
                continue
            y = i + (j - (len(seconds) - 1) / 2) * step
            # Seeds that agree would hide each other: they are spread a little.
            spread = np.linspace(-0.22, 0.22, len(cell)) * step if len(cell) > 1 else [0.0]
            ax.scatter(
                cell["value"],
                y + np.asarray(spread),
                s=4 * style.scale**2,
                color=colours[first],
                alpha=0.5,
                lw=0,
                zorder=2.5,
            )
            summary = cell.iloc[0]
            if not math.isnan(summary.get("chance", math.nan)):
                _chance(ax, summary, y, step)
            if summary["n"] >= ENOUGH:
                ax.plot(
                    [summary["low"], summary["high"]], [y, y], color=colours[first], lw=style.scale
                )
            ax.plot(
                summary["mean"],
                y,
                marker=markers[second],
                ms=4 * style.scale,
                color=colours[first],
                mec="white",
                mew=0.4,
                zorder=3,
            )
            if not other.empty:
                ax.scatter(
                    other["mean"].iloc[0],
                    y,
                    marker=markers[second],
                    s=(4 * style.scale) ** 2,
                    fc="none",
                    ec=colours[first],
                    lw=0.7 * style.scale,
                    zorder=3.5,
                )
    ax.set_yticks(range(len(levels)), [_name(encoding, level) for level in levels])
    ax.set_ylim(len(levels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    for boundary in range(1, len(levels)):
        ax.axhline(boundary - 0.5, color=LIGHT_GREY, lw=0.5, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(5 if integer else 3, integer=integer))
    ax.margins(x=0.08)
    if integer:  # Counts are read against zero.
        low, high = ax.get_xlim()
        high = max(high, 2.0)
        ax.set_xlim(min(low, -0.04 * high), high)
