"""The mark of runs that have not settled: on every figure, in its caption, and in its data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Style, theme
from pyrovae.study.store.settling import MARK, Settling

_Draw = TypeVar("_Draw", bound=Callable[..., Any])
#: Column of tables that says how many of the runs behind a row have not settled.
UNSETTLED = "unsettled"


def carries_mark(draw: _Draw) -> _Draw:
    """Make a figure function, whose first argument is a study as presented, mark what it draws.

    A figure whose data has a column ``run`` is about those runs; any other is about all.
    """

    @functools.wraps(draw)
    def drawing(presented: Presented, *given: Any, **settings: Any) -> Any:
        made = draw(presented, *given, **settings)
        style = settings.get("style", PAPER)
        if isinstance(made, Drawn):
            return _of_study(made, presented, style)
        each = _each(made, presented, style)
        return list(each) if isinstance(made, list) else each

    return cast(_Draw, drawing)


def marked(drawn: Drawn, settling: Settling, *, style: Style = PAPER) -> Drawn:
    """Return a figure with its mark, small in the lower right corner, and what it means.

    Parameters
    ----------
    drawn
        As it was drawn; the same if all runs have settled.
    settling
        Of the runs that it is about.
    style
        That it was drawn in.
    """
    if not settling.unsettled:
        return drawn
    with theme(style):
        _write(drawn.figure, style)
    return replace(drawn, caption=f"{drawn.caption} {settling.noted}")


def with_unsettled(table: pd.DataFrame, presented: Presented) -> pd.DataFrame:
    """Return a table with :data:`UNSETTLED`, the number of such runs behind each row.

    Behind a row are the runs that agree with it in its run, cell, seed and labels; all of them if
    the table has none of these columns.
    """
    if UNSETTLED in table:
        return table
    runs = presented.runs
    open_runs = runs["run"].isin(presented.study.settling.unsettled)
    keys = [key for key in ("run", "cell", *presented.study.labels, "seed") if key in table]
    if not keys or table.empty:
        return table.assign(**{UNSETTLED: int(open_runs.sum())})
    counts = open_runs.astype(int).groupby([runs[key] for key in keys]).sum()
    known = dict(zip(counts.index, counts, strict=True))
    rows = table[keys[0]] if len(keys) == 1 else table[keys].itertuples(index=False, name=None)
    return table.assign(**{UNSETTLED: [int(known.get(row, 0)) for row in rows]})


def _each(made: Iterable[Drawn], presented: Presented, style: Style) -> Iterator[Drawn]:
    for drawn in made:
        yield _of_study(drawn, presented, style)


def _of_study(drawn: Drawn, presented: Presented, style: Style) -> Drawn:
    settling = presented.study.settling
    if not settling.unsettled:
        return drawn
    if "run" in drawn.data:
        settling = settling.of(drawn.data["run"].unique())
    data = with_unsettled(drawn.data, presented)
    return replace(marked(drawn, settling, style=style), data=data)


def _lift(figure: Figure, by: float) -> None:
    """Make room of so many inches below everything."""
    before = figure.get_figheight()
    after = before + by
    figure.set_figheight(after)
    for ax in figure.axes:
        x, y, width, height = ax.get_position().bounds
        ax.set_position((x, (y * before + by) / after, width, height * before / after))


def _write(figure: Figure, style: Style) -> None:
    engine = figure.get_layout_engine()
    width = 0.8 * style.size / 72 / figure.get_figwidth()
    if isinstance(engine, ConstrainedLayoutEngine):
        # A strip of its own, so that it runs into nothing.
        engine.set(rect=(0, 0, 1 - width, 1))
    else:
        _lift(figure, 1.2 * style.small / 72)
    figure.text(1 - 0.1 * width, 0, MARK, ha="right", va="bottom", color=GREY, fontsize=style.small)
