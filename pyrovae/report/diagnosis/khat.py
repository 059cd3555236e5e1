"""Pareto k of each test point: whether importance weights by the guide can be trusted."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.measures.arviz import GOOD_K, USABLE_K
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.style import GREY, PAPER, Style, roles, theme, tighten


def khat(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw Pareto k of each test point's importance weights, with the limits.

    Raises
    ------
    NothingToDraw
        If it is known for no point.
    """
    points = found.points[["datum", "pareto_k"]]
    k = points["pareto_k"].to_numpy()
    if not np.isfinite(k).any():
        raise NothingToDraw("Pareto k is known for no point")
    groups = (
        (f"up to {GOOD_K}", k <= GOOD_K, 0, "o"),
        (f"up to {USABLE_K}", (k > GOOD_K) & (k <= USABLE_K), 1, "s"),
        ("more", k > USABLE_K, 4, "X"),
    )
    with theme(style):
        figure = Figure(figsize=(style.column, 1.8 * style.scale), layout="constrained")
        ax = figure.subplots()
        for name, rows, colour, marker in groups:
            if rows.any():
                ax.plot(
                    points["datum"][rows],
                    k[rows],
                    marker,
                    color=roles(5)[colour],
                    label=f"{name}: {rows.sum()}",
                )
        for limit in (GOOD_K, USABLE_K):
            ax.axhline(limit, color=GREY, linewidth=0.6 * style.scale, dashes=(4, 2), zorder=0)
        ax.set(xlabel="Test point", ylabel=r"Pareto $\hat{k}$")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside upper center", ncols=3)
        tighten(figure)
    caption = (
        f"Pareto k of the importance weights p(x, z) / q(z|x) of {len(points)} test points. Up to "
        f"{GOOD_K} the weights have a finite variance; up to {USABLE_K} estimates from smoothed "
        f"weights can be used; above it ({int((k > USABLE_K).sum())} points) the guide misses too "
        "much of the posterior. Dashed: these limits."
    )
    return Drawn("khat", figure, points, caption)
