"""Figures of a paper and ours, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.measures.scores import score_of
from pyrovae.published import Compared, PublishedTable
from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import GREY, PAPER, Style, roles, theme, tighten


def figure(
    name: str,
    table: PublishedTable,
    compared: Sequence[Compared],
    data: pd.DataFrame,
    *,
    style: Style = PAPER,
) -> Drawn:
    """Draw a row for each figure of the paper: its value, ours, and what ours rests on.

    Parameters
    ----------
    name
        Stem of the file names.
    table, compared
        The paper's, and its comparison with a study.
    data
        What stands in the table of the comparison.
    """
    with theme(style):
        height = (0.55 + 0.3 * len(compared)) * style.scale
        drawn = Figure(figsize=(style.column, height), layout="constrained")
        ax = drawn.subplots()
        at = np.arange(len(compared))[::-1]
        for place, each in zip(at, compared, strict=True):
            ax.errorbar(
                each.row.value,
                place + 0.14,
                xerr=2 * each.row.sd or None,
                fmt="s",
                color=GREY,
                markerfacecolor="white",
                lw=0.9,
                capsize=2,
                label="paper (± 2 sd)" if place == at[0] else None,
            )
            if not len(each.ours):
                continue
            width = each.half_width
            ax.plot(each.ours, np.full(len(each.ours), place - 0.14), "|", color=GREY, ms=4)
            ax.errorbar(
                each.mean,
                place - 0.14,
                xerr=width if np.isfinite(width) else None,
                fmt="o",
                color=roles(1)[0],
                lw=0.9,
                capsize=2,
                label="here (95 % interval; ticks: runs)" if place == at[0] else None,
            )
        ax.set_yticks(at, [figure_text(names.wrapped(each.label, 26)) for each in compared])
        ax.set_ylim(-0.6, len(compared) - 0.4)
        ax.set_xlabel(axis_title(table))
        drawn.legend(loc="outside upper center", ncols=2, fontsize=style.small)
        tighten(drawn)
    caption = (
        f"{axis_title(table)} as {table.source} report it (hollow squares; bars: two published "
        "standard deviations, where there are any) and here (discs: mean over seeds with its 95 % "
        "interval, Student's t; ticks: runs)."
    )
    return Drawn(name, drawn, data, caption)


def axis_title(table: PublishedTable) -> str:
    """Return what a table's values are."""
    title = score_of(table.quantity).title
    if table.as_ == "bits_per_dim":
        return f"Bits per dimension, from {title}"
    return f"Negative {title} (nats)" if table.as_ == "negative" else title
