"""Convergence of the reference: R-hat against effective sample size, and the gate."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.measures.posterior.convergence import MAX_R_HAT, MIN_ESS
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import GREY, PAPER, Style, roles, theme

#: Where the axes may have ticks.
_SIZES = (10, 20, 50, 100, 200, 400, 1000, 2000, 4000, 10_000, 20_000)
_EXCESSES = (0.0001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


def gate(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw each test point's worst R-hat and smallest ESS, with the limits."""
    points = found.points.assign(
        ess=lambda table: table[["ess_bulk", "ess_tail"]].min(axis=1),
        # 1 is as good as it gets; estimates scatter around it.
        excess=lambda table: np.maximum(table["rhat"] - 1, 1e-4),
    )
    groups = (
        ("passed", points["passed"] & ~points["multimodal"], 0, "o"),
        ("failed", ~points["passed"] & ~points["multimodal"], 1, "X"),
        ("several modes", points["multimodal"], 3, "D"),
    )
    with theme(style):
        figure = Figure(figsize=(style.column, 2.1), layout="constrained")
        ax = figure.subplots()
        for name, rows, colour, marker in groups:
            if rows.any():
                ax.plot(
                    points.loc[rows, "ess"],
                    points.loc[rows, "excess"],
                    marker,
                    color=roles(4)[colour],
                    label=f"{name}: {rows.sum()}",
                )
        ax.axhline(MAX_R_HAT - 1, color=GREY, linewidth=0.6, dashes=(4, 2))
        ax.axvline(MIN_ESS, color=GREY, linewidth=0.6, dashes=(4, 2))
        ax.set(xscale="log", yscale="log", xlabel="Smallest ESS", ylabel=r"Largest $\hat{R}-1$")
        for axis, ticks in ((ax.xaxis, _SIZES), (ax.yaxis, _EXCESSES)):
            low, high = axis.get_view_interval()
            shown = [tick for tick in ticks if low <= tick <= high]
            axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
            axis.set_ticks([], minor=True)
        figure.legend(loc="outside upper center", ncols=3)
    failed = int((~points["passed"]).sum())
    caption = (
        f"Convergence of NUTS for {len(points)} test points: largest R-hat minus 1 over the latent "
        f"units (values below 1e-4 are drawn there) and smallest of bulk and tail ESS. Dashed: the "
        f"gate. {failed} points fail it and are left out of all comparisons with the true "
        f"posterior; {int(points['multimodal'].sum())} have several modes."
    )
    columns = ["datum", "rhat", "ess_bulk", "ess_tail", "divergences", "passed", "multimodal"]
    return Drawn("gate", figure, points[columns], caption)
