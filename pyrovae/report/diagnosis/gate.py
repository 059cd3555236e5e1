"""Convergence of the reference: R-hat against effective sample size, and the gate."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.diagnostics.convergence import MAX_R_HAT, MIN_ESS
from pyrovae.report.drawn import Drawn
from pyrovae.report.style import GREY, PAPER, Style, palette, theme
from pyrovae.study.diagnoses import DiagnosisFolder


def gate(stored: DiagnosisFolder, *, style: Style = PAPER) -> Drawn:
    """Draw each test point's worst R-hat and smallest ESS, with the limits."""
    points = stored.points()
    points["ess"] = points[["ess_bulk", "ess_tail"]].min(axis=1)
    # 1 is as good as it gets; estimates scatter around it.
    points["excess"] = np.maximum(points["rhat"] - 1, 1e-4)
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
                    color=palette(4)[colour],
                    label=f"{name}: {rows.sum()}",
                )
        ax.axhline(MAX_R_HAT - 1, color=GREY, linewidth=0.6, dashes=(4, 2))
        ax.axvline(MIN_ESS, color=GREY, linewidth=0.6, dashes=(4, 2))
        ax.set(xscale="log", yscale="log", xlabel="smallest ESS", ylabel=r"largest $\hat{R}-1$")
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
