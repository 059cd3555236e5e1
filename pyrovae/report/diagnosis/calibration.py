"""Simulation-based calibration: ranks, their ECDF with a simultaneous band, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.measures.posterior.calibration import Calibration, band, ecdf_difference
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import ACTIVE, IDLE, LIGHT_GREY, PAPER, Style, theme

_BINS = 16
_NOMINAL = np.linspace(0.05, 0.95, 19)


def calibration(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw rank histogram, ECDF difference and coverage, a line for each unit."""
    group = found.data["calibration"]
    ranks = np.asarray(group["rank"])
    # Diagnoses of earlier versions have no distances.
    far = np.asarray(group["distance_rank"]) if "distance_rank" in group else None
    sbc = Calibration(ranks, int(group.attrs["draws"]), far)
    n, d = ranks.shape
    places, low, high = band(n, sbc.draws)
    coverage = sbc.coverage(_NOMINAL)
    active = found.units["guide_active"].to_numpy()
    rejected = sbc.p_values < 0.01
    colours = [ACTIVE if on else IDLE for on in active]
    dashes = ["-" if on else (0, (3, 1.5)) for on in active]
    with theme(style):
        figure = Figure(figsize=(style.text, 2.0), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        expected = n / _BINS
        spread = 2.576 * np.sqrt(expected * (1 - 1 / _BINS))
        left.axhspan(expected - spread, expected + spread, color=LIGHT_GREY, linewidth=0)
        middle.fill_between(places, low, high, color=LIGHT_GREY, linewidth=0)
        width = 2.576 * np.sqrt(_NOMINAL * (1 - _NOMINAL) / n)
        right.fill_between(_NOMINAL, -width, width, color=LIGHT_GREY, linewidth=0)
        right.axhline(0, color="0.35", linewidth=0.6)
        edges = np.linspace(0, sbc.draws + 1, _BINS + 1)
        rows = []
        for u in range(d):
            line = {"color": colours[u], "linewidth": 0.7, "linestyle": dashes[u], "alpha": 0.8}
            counts, _ = np.histogram(ranks[:, u], edges)
            left.stairs(counts, edges / (sbc.draws + 1), baseline=None, **line)
            difference = ecdf_difference(ranks[:, u], sbc.draws)
            middle.plot(places, difference, **line)
            right.plot(_NOMINAL, coverage[:, u] - _NOMINAL, **line)
            rows.append(pd.DataFrame({"unit": u, "place": places, "ecdf_difference": difference}))
        for label, i in (("active", True), ("idle", False)):
            if (active == i).any():
                style_of = "-" if i else (0, (3, 1.5))
                left.plot([], [], color=ACTIVE if i else IDLE, linestyle=style_of, label=label)
        if far is not None:
            together = sbc.expected_coverage(_NOMINAL)
            balls = {"color": "0.1", "linewidth": 1.2, "linestyle": (0, (1, 1))}
            right.plot(_NOMINAL, together - _NOMINAL, **balls)
            left.plot([], [], **balls, label="all, balls")
        left.set(xlabel="Rank of the code, scaled", ylabel="Simulations", xlim=(0, 1))
        left.set_ylim(bottom=0)
        middle.set(xlabel="Rank of the code, scaled", ylabel="ECDF − uniform", xlim=(0, 1))
        right.set(xlabel="Nominal content", ylabel="Coverage − nominal", xlim=(0, 1))
        figure.legend(loc="outside upper center", ncols=3, title="Unit")
    data = pd.concat(rows, ignore_index=True)
    data = data.merge(pd.DataFrame({"unit": range(d), "p": sbc.p_values}), on="unit")
    caption = (
        f"Calibration of the encoder on {n} data simulated from the model, a line for each latent "
        "unit (dark: active in the guide; dashed: idle): ranks of the true code among the guide's "
        "draws (grey: 99 % of counts of a uniform law), their ECDF minus the uniform (grey: "
        "simultaneous 95 % band), and coverage of central intervals minus their nominal content "
        "(grey: 99 %; below zero: too sure). "
        f"Uniformity of all units together: p = {sbc.p_value:.2g}; "
        f"{int(rejected.sum())} of {d} units are rejected at 1 %. "
        f"Symmetry of the ranks about their middle (VSBC): p = {sbc.symmetry_p_value:.2g}."
    )
    if far is not None:
        caption += (
            " Dotted: how often balls of nominal content around random points hold the code, all "
            f"units together (TARP; uniformity: p = {sbc.tarp_p_value:.2g})."
        )
    return Drawn("calibration", figure, data, caption)
