"""Who collapsed each unit: activity in the guide against activity in the true posterior."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.posterior.blame import ENOUGH_POINTS
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.style import GREY, MARKERS, PAPER, Style, roles, theme

#: Verdict to what the legend says; colours and markers in this order.
WORDS = {
    "active": "active",
    "model": "collapsed: model",
    "guide": "collapsed: guide",
    "undecided": "collapsed: undecided",
}
_FLOOR = 1e-5


def blame(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw Var_x of the posterior mean of each unit, by the guide and by NUTS.

    Raises
    ------
    NothingToDraw
        If too few points passed the gate.
    """
    units = found.units
    if units["var_mean"].isna().all():
        raise NothingToDraw("fewer than two points passed the gate: no unit can be judged")
    with theme(style):
        figure = Figure(figsize=(style.column, 2.7), layout="constrained")
        ax = figure.subplots()
        for i, (verdict, label) in enumerate(WORDS.items()):
            part = units[units["blame"] == verdict]
            if part.empty:
                continue
            y, low, high = (
                np.maximum(part[k], _FLOOR) for k in ("var_mean", "var_mean_low", "var_mean_high")
            )
            ax.errorbar(
                np.maximum(part["guide_var_mu"], _FLOOR),
                y,
                [y - np.minimum(low, y), np.maximum(high, y) - y],
                fmt=MARKERS[i],
                color=roles(4)[i],
                linewidth=0.7,
                label=f"{label}: {len(part)}",
            )
        for line in (ax.axhline, ax.axvline):
            line(ACTIVE_VARIANCE, color=GREY, linewidth=0.6, dashes=(4, 2))
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"$\mathrm{Var}_x$ of the guide's mean",
            ylabel=r"$\mathrm{Var}_x$ of the true posterior's mean",
        )
        figure.legend(loc="outside upper center", ncols=2)
    caption = (
        "Each latent unit by the variance of its posterior mean over the data: of the guide (test "
        "set) and of the true posterior (points that pass the gate; 95 % bootstrap "
        f"interval, from {ENOUGH_POINTS} points on). "
        f"Dashed: {ACTIVE_VARIANCE}, above which a unit is active; values below {_FLOOR:g} are "
        "drawn there. Units that only the guide has collapsed are to the left and above."
    )
    return Drawn("blame", figure, units, caption)
