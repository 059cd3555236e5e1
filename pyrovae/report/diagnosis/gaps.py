"""The bounds of each test point, and how wide the bracket on simulated data is."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.report.diagnosis.found import Found
from pyrovae.report.diagnosis.words import ESTIMATORS
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import PAPER, Style, roles, theme


def gaps(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw approximation and amortisation gap of each point, and both bounds of simulated data."""
    scores = found.scores
    points = found.points.assign(
        approximation_gap=lambda table: table["log_px"] - table["elbo_best"],
        amortisation_gap=lambda table: table["elbo_best"] - table["elbo"],
    ).sort_values("approximation_gap", ignore_index=True)
    x = np.arange(len(points))
    first, second, third = roles(3)
    bracket = found.data["bracket"]
    lower, upper = (np.asarray(bracket[name]) for name in ("lower", "upper"))
    order = np.argsort(lower)
    with theme(style):
        figure = Figure(figsize=(style.text, 2.1), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        for name, colour, marker, label in (
            ("approximation_gap", first, "o", "approximation gap"),
            ("amortisation_gap", second, "s", "amortisation gap"),
        ):
            error = 2 * points[f"{'log_px' if colour == first else 'elbo'}_se"]
            left.errorbar(
                x, points[name], error, fmt=marker, color=colour, label=label, linewidth=0.6
            )
        left.axhline(0, color="0.35", linewidth=0.6)
        left.set(xlabel="Test point, in order", ylabel="Gap (nats)")
        left.legend(loc="upper left")
        places = np.arange(len(lower))
        centre = (lower + upper)[order] / 2
        right.vlines(places, lower[order] - centre, upper[order] - centre, color="0.8", zorder=0)
        right.plot(places, lower[order] - centre, "^", color=third, label="AIS: lower")
        right.plot(places, upper[order] - centre, "v", color=roles(4)[3], label="BDMC: upper")
        right.set(xlabel="Simulated datum", ylabel="From the centre (nats)")
        right.margins(y=0.3)
        for ax in (left, right):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.legend(loc="upper center", ncols=2)
    names = ("approximation_gap", "amortisation_gap")
    means = ", ".join(
        f"{n.replace('_', ' ')} {scores[n]:.2f} ± {scores[f'{n}_se']:.2f}" for n in names
    )
    caption = (
        f"Left: where the ELBO loses, for each test point, ± 2 standard errors; means in nats: "
        f"{means}; log p(x) by {ESTIMATORS[scores['log_px_by']]}. Right: bounds on log p(x) of "
        "data simulated from the model, from both sides; mean width "
        f"{scores['bracket_width']:.2f} ± {scores['bracket_width_se']:.2f} nats."
    )
    columns = ["datum", "elbo", "elbo_best", "log_px_iwae", "log_px_ais", "log_px", *names]
    return Drawn("gaps", figure, points[columns], caption)
