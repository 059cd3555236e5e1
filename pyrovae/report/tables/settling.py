"""Evidence of convergence in numbers: a row for each cell."""

from __future__ import annotations

import math
from functools import lru_cache

import pandas as pd

from pyrovae.analysis.active import count_of
from pyrovae.report import escapes
from pyrovae.report.look import names
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import MISSING
from pyrovae.report.tables.cells import LATEX_MARK
from pyrovae.report.tables.frame import fitted
from pyrovae.study.store.settling import MARK

_HEADINGS = {
    "settled": "Settled",
    "steps": "Steps",
    "window": "Judged by",
    "rise": "Rise of the bound (nats)",
    "units": "Active units there",
}
CAPTION = (
    "Convergence: runs of a cell that had settled when training ended; its steps; the steps of the "
    "last third of training at full learning rate, by which a run is judged; by how many nats the "
    "held-out bound rose over it, mean over runs and the largest of all; and the least and the "
    "most active units on held-out data that any run had there."
)


@lru_cache(maxsize=1)  # a report asks for it in four places
def by_cell(presented: Presented) -> pd.DataFrame:
    """Return a row for each cell: labels and evidence that its runs had settled; not to be changed.

    Returns
    -------
    DataFrame
        ``cell``, the labels, ``seeds``, ``settled`` (runs), ``steps_low``, ``steps_high``,
        ``window_low``, ``window_high`` (first and last step of any run's window), ``rise``,
        ``rise_largest`` (nats; NaN where not recorded), ``units_low`` and ``units_high`` (in the
        window).
    """
    study, runs = presented.study, presented.runs
    history = presented.history
    count = count_of(history).key
    rows = []
    for cell, part in runs.groupby("cell", sort=False):
        found = [study.folder(run).settled() for run in part["run"]]
        seen = history[history["run"].isin(part["run"])]
        steps = seen.groupby("run")["step"].max()
        rises = pd.Series([settled.rise for settled in found], dtype=float)
        inside = pd.concat(
            [
                seen.loc[(seen["run"] == run) & seen["step"].between(*settled.window), count]
                for run, settled in zip(part["run"], found, strict=True)
            ]
        )
        rows.append(
            {
                "cell": cell,
                **{label: part[label].iloc[0] for label in presented.labels},
                "seeds": len(part),
                "settled": sum(settled.yes is True for settled in found),
                "steps_low": int(steps.min()),
                "steps_high": int(steps.max()),
                "window_low": min(settled.window[0] for settled in found),
                "window_high": max(settled.window[1] for settled in found),
                "rise": rises.mean(),
                "rise_largest": rises.max(),
                "units_low": inside.min(),
                "units_high": inside.max(),
            }
        )
    return pd.DataFrame(rows)


def markdown(presented: Presented) -> str:
    """Return the table for reading."""
    header, lines = _texts(presented, MARK)
    shown = [header, ["---"] * len(header), *lines]
    return "\n".join(
        escapes.markdown_row([escapes.markdown_line(cell) for cell in line]) for line in shown
    )


def latex(presented: Presented) -> str:
    r"""Return a booktabs ``tabular``: ``\input{settling.tex}``."""
    header, lines = _texts(presented, "\0")
    columns = "l" * len(presented.labels) + "r" * len(_HEADINGS)
    body = [_row(header), r"\midrule", *map(_row, lines)]
    made = [rf"% {CAPTION}", "% Needs booktabs and graphicx."]
    return "\n".join([*made, *fitted(columns, body, font=r"\footnotesize")]) + "\n"


def _row(cells: list[str]) -> str:
    told = " & ".join(escapes.latex(cell).replace("\0", LATEX_MARK) for cell in cells)
    return rf"{told} \\"


def _texts(presented: Presented, mark: str) -> tuple[list[str], list[list[str]]]:
    encoding, labels = presented.encoding, presented.labels
    header = [*map(names.title, labels), *_HEADINGS.values()]
    lines = []
    for row in by_cell(presented).to_dict("records"):
        told = [encoding.show(label, row[label]) for label in labels]
        open_ones = mark if row["settled"] < row["seeds"] else ""
        lines.append(
            [
                *told,
                f"{row['settled']} of {row['seeds']}{open_ones}",
                _range(row["steps_low"], row["steps_high"]),
                _range(row["window_low"], row["window_high"]) if row["window_high"] else MISSING,
                _rise(row["rise"], row["rise_largest"]),
                _range(row["units_low"], row["units_high"]),
            ]
        )
    return header, lines


def _range(low: float, high: float) -> str:
    if math.isnan(low):
        return MISSING
    return f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"


def _rise(mean: float, largest: float) -> str:
    if math.isnan(largest):
        return MISSING
    return f"{mean:+.2f}, at most {largest:+.2f}".replace("-", "−")
