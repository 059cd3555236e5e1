"""The table of `study plan`: a line for each run, or, of a large study, for each cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Column, Table
from rich.text import Text

from pyrovae.study.config.told import varying
from pyrovae.study.plan.planning import PlannedRun, labels_of

#: Runs that have a line each. Nobody reads more, and a table of 10,000 takes longer than the plan.
MOST_LINES = 500


def planned_table(
    runs: Sequence[PlannedRun], states: Sequence[str], *, whole_ids: bool = False
) -> Table:
    """Return what `study plan` prints.

    Parameters
    ----------
    runs, states
        Planned, and what the store has of each.
    whole_ids
        Whether to name runs by all digits; eight of them name one.
    """
    if len(runs) > MOST_LINES:
        return _by_cell(runs, states)
    rows = labels_of(runs)
    keys = [*varying(rows), "seed"]
    table = _table("run", keys, "state")
    for run, labels, state in zip(runs, rows, states, strict=True):
        table.add_row(
            Text(run.id if whole_ids else run.id[:8], no_wrap=True),
            *(Text(str(labels[key])) for key in keys),
            *_cost(run),
            state,
        )
    return table


def _by_cell(runs: Sequence[PlannedRun], states: Sequence[str]) -> Table:
    first: dict[str, PlannedRun] = {}
    counts: dict[str, Counter[str]] = {}
    for run, state in zip(runs, states, strict=True):
        first.setdefault(run.structure, run)
        counts.setdefault(run.structure, Counter())[state] += 1
    rows = labels_of(list(first.values()))
    keys = varying(rows)
    table = _table("runs", keys, "states")
    for (cell, run), labels in zip(first.items(), rows, strict=True):
        told = ", ".join(f"{n} {state}" for state, n in counts[cell].most_common())
        table.add_row(
            str(counts[cell].total()), *(Text(str(labels[key])) for key in keys), *_cost(run), told
        )
    return table


def _table(first: str, keys: Sequence[str], last: str) -> Table:
    # Names that are too long go on below: two of them may differ in their ends.
    named = [Column(key, overflow="fold") for key in keys]
    return Table(first, *named, "params", "TFLOP", last, box=box.SIMPLE_HEAD, padding=0)


def _cost(run: PlannedRun) -> tuple[str, str]:
    return f"{run.parameters:,}", f"{run.flops / 1e12:.2f}"
