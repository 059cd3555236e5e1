"""Evidence of convergence: what every run did along training, cell by cell, and when it ended."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pyrovae.analysis.active import count_of, criterion
from pyrovae.measures.collapse.bounds import ELBO
from pyrovae.measures.scores import Score
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.legends import Group, legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Colour, Style, theme, tighten

#: Cells side by side, and in a figure: more would not fit a page.
_ACROSS, _CELLS = 3, 9
#: Axes of the bound show the part of training whole that begins here: its first values dwarf all
#: differences.
_FROM = 0.25


@carries_mark
def settling(presented: Presented, *, style: Style = PAPER) -> list[Drawn]:
    """Draw held-out bound and active units of every run along training, two panels for each cell.

    Returns
    -------
    list of Drawn
        One for each nine cells; ``data`` has a row for each run and record: ``step``, ``elbo``
        (nats per datum), the count of active units, ``settled`` and ``in_window``,
        whether the run was judged by this record.

    Raises
    ------
    NothingToDraw
        If the runs were trained by version 0.1.0, which recorded no held-out bound.
    """
    runs, history = presented.runs, presented.history
    if ELBO.key not in history or history[ELBO.key].isna().all():
        raise NothingToDraw("no held-out bound was recorded along training")
    count = count_of(history)
    data = _seen(presented, history, count)
    cells = runs.drop_duplicates("cell")
    parts = [cells.iloc[first : first + _CELLS] for first in range(0, len(cells), _CELLS)]
    return [
        _drawn(
            presented,
            data[data["cell"].isin(part["cell"])].reset_index(drop=True),
            part,
            count,
            f"settling-{i}" if len(parts) > 1 else "settling",
            style,
        )
        for i, part in enumerate(parts, 1)
    ]


def _drawn(
    presented: Presented,
    data: pd.DataFrame,
    cells: pd.DataFrame,
    count: Score,
    name: str,
    style: Style,
) -> Drawn:
    """Draw some of the cells."""
    encoding = presented.encoding
    bands = math.ceil(len(cells) / _ACROSS)
    across = math.ceil(len(cells) / bands)
    with theme(style):
        width = style.column if across == 1 else style.text
        figure = Figure(figsize=(width, (2.1 * bands + 0.5) * style.scale), layout="constrained")
        grid = figure.subplots(
            2 * bands, across, sharex=True, squeeze=False, height_ratios=[3, 2] * bands
        )
        last = int(data["step"].max())
        for place in range(bands * across):
            band, column = divmod(place, across)
            above, below = grid[2 * band, column], grid[2 * band + 1, column]
            if place >= len(cells):
                above.set_axis_off()
                below.set_axis_off()
                continue
            row = cells.iloc[place].to_dict()
            part = data[data["cell"] == row["cell"]]
            colour, marker = encoding.look(row)
            _bound(above, part, colour, marker, style, last)
            _lines(below, part, count.key, colour, marker, style)
            below.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
            low, high = part[count.key].min(), part[count.key].max()
            below.set_ylim(low - 0.15 * (high - low or 1), high + 0.15 * (high - low or 1))
            below.xaxis.set_major_locator(MaxNLocator(2, integer=True, steps=[1, 2, 5, 10]))
            below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _steps(value)))
            # A cell above a free place has no neighbour to share tick labels with.
            below.tick_params(labelbottom=place + across >= len(cells))
            above.set_title(names.wrapped(presented.titles[row["cell"]], 36))
            if column == 0:
                above.set_ylabel(names.wrapped("Held-out ELBO (nats)", 14))
                below.set_ylabel(names.wrapped(count.axis_label, 12))
        for ax in grid.flat:
            ax.set_xlim(0, 1.04 * last)
        figure.supxlabel("Training steps")
        figure.align_ylabels()
        legend_above(figure, [*([marker_group(encoding)] if encoding.second else []), _ends()])
        tighten(figure)
    settled, total = data.loc[data["settled"], "run"].nunique(), data["run"].nunique()
    caption = (
        f"Every run along training, two panels for each cell: held-out ELBO per datum (above, "
        f"on the scale of all but the first {_FROM:.0%} of training) and active units on held-out "
        "data. A line for each seed; its thick part is the last third of training at full learning "
        "rate, by which the run was judged; it ends in a filled marker where the run had settled, "
        f"in a hollow one where it had not. {settled} of {total} runs had. {criterion(data)} "
        f"{captions.setting(presented)}"
    )
    return Drawn(name, figure, data.drop(columns="cell"), caption.strip())


def _seen(presented: Presented, history: pd.DataFrame, count: Score) -> pd.DataFrame:
    """Return what is drawn of each run."""
    runs = presented.runs
    found = {run: presented.study.folder(run).settled() for run in runs["run"]}
    labels = list(dict.fromkeys(["run", *presented.encoding.labels, "seed"]))
    seen = history[[*labels, "step", ELBO.key, count.key]].dropna(subset=[ELBO.key])
    windows = {run: settled.window for run, settled in found.items()}
    inside = [
        windows[run][0] <= step <= windows[run][1]
        for run, step in zip(seen["run"], seen["step"], strict=True)
    ]
    cells = dict(zip(runs["run"], runs["cell"], strict=True))
    yes = {run: settled.yes is True for run, settled in found.items()}
    return seen.assign(
        cell=seen["run"].map(cells), settled=seen["run"].map(yes), in_window=inside
    ).reset_index(drop=True)


def _bound(
    ax: Axes, part: pd.DataFrame, colour: Colour, marker: str, style: Style, last: int
) -> None:
    _lines(ax, part, ELBO.key, colour, marker, style)
    # A run that has ended early is at its end ever since.
    shown = pd.concat([part[part["step"] >= _FROM * last], part.groupby("run").tail(1)])
    low, high = shown[ELBO.key].min(), shown[ELBO.key].max()
    margin = 0.12 * (high - low) or 0.5
    ax.set_ylim(low - margin, high + margin)
    ax.yaxis.set_major_locator(MaxNLocator(3))


def _lines(
    ax: Axes, part: pd.DataFrame, key: str, colour: Colour, marker: str, style: Style
) -> None:
    for _, run in part.groupby("run", sort=False):
        ax.plot(run["step"], run[key], color=colour, lw=0.5 * style.scale, alpha=0.6)
        judged = run[run["in_window"]]
        ax.plot(judged["step"], judged[key], color=colour, lw=1.2 * style.scale, alpha=0.8)
        end = run.iloc[-1]
        ax.plot(
            end["step"],
            end[key],
            marker=marker,
            ms=3 * style.scale,
            color=colour,
            mfc=colour if end["settled"] else "white",
            mew=0.7 * style.scale,
            clip_on=False,
            zorder=3,
        )


def _ends() -> Group:
    entries = [
        Line2D([], [], color=GREY, mfc=fill, marker="o", ls="", label=label)
        for label, fill in (("settled", GREY), ("not settled", "white"))
    ]
    return "End of a run", entries


def _steps(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
