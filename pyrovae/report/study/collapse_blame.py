"""Who collapsed the units of each cell: the model, or the inference network."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten

#: Verdict to what the legend says, and its hatching.
_PARTS = {
    "active": ("active", ""),
    "model": ("collapsed: model", "////"),
    "guide": ("collapsed: guide", "...."),
    "undecided": ("undecided", ""),
}


@carries_mark
def collapse_blame(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw how many units of each cell are active, and who collapsed the others.

    Returns
    -------
    Drawn
        ``data`` has a row for each diagnosed run: units by verdict, test points, and those that
        failed the gate.

    Raises
    ------
    NothingToDraw
        If no run of the study has been diagnosed.
    """
    data = presented.diagnosed
    cells = data.groupby(["cell", "title"], sort=False)[list(_PARTS)].mean().reset_index()
    y = np.arange(len(cells))
    # Colours stand for the first label's levels, here as elsewhere: these are shades.
    colours = ("0.35", "0.75", "0.9", "white")
    with theme(style):
        figure = Figure(figsize=(style.column, 0.8 + 0.26 * len(cells)), layout="constrained")
        ax = figure.subplots()
        left = np.zeros(len(cells))
        for (verdict, (label, hatch)), colour in zip(_PARTS.items(), colours, strict=True):
            width = cells[verdict].to_numpy()
            ax.barh(
                y, width, left=left, height=0.7, color=colour, hatch=hatch, label=label,
                edgecolor="0.2", linewidth=0.5,
            )  # fmt: skip
            left += width
        ax.set_yticks(y, [names.wrapped(title, 30) for title in cells["title"]])
        ax.invert_yaxis()
        ax.set_xlabel("Latent units (count, mean over seeds)")
        figure.legend(loc="outside upper center", ncols=2)
        tighten(figure)
    failed = int(data["points_failed"].sum())
    caption = (
        f"Latent units of each cell by verdict, mean over {len(data)} diagnosed runs: active in "
        "the guide, or collapsed there and, by NUTS, collapsed in the true posterior too (the "
        "model does not use them) or not (the inference network misses them). "
        f"{failed} of {int(data['points'].sum())} posteriors failed the gate and are left out."
    )
    return Drawn("collapse-blame", figure, data, caption)
