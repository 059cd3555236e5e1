"""The guide's marginals next to the true posterior's, unit by unit."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.style import ACTIVE, GREY, IDLE, PAPER, Style, theme

_MEASURES = {
    "shift": "Shift of mean\n/ true sd",
    "sd_ratio": "Sd of guide\n/ true sd",
    "w1_sd": "$W_1$ distance\n/ true sd",
}
#: What a perfect guide has.
_PERFECT = {"shift": 0.0, "sd_ratio": 1.0, "w1_sd": 0.0}


def fit(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw shift, ratio of standard deviations and Wasserstein-1 distance of each unit.

    Raises
    ------
    NothingToDraw
        If no point passed the gate.
    """
    table = found.marginals
    if table.empty:
        raise NothingToDraw("no point passed the gate: there is no reference to compare with")
    order = table.groupby("unit")["sd_reference"].mean().sort_values().index
    place = {unit: i for i, unit in enumerate(order)}
    with theme(style):
        figure = Figure(figsize=(style.text, 3.4), layout="constrained")
        axes = figure.subplots(3, 1, sharex=True)
        for ax, (name, title) in zip(axes, _MEASURES.items(), strict=True):
            ax.axhline(_PERFECT[name], color=GREY, linewidth=0.6, dashes=(4, 2))
            for active, colour, label in ((True, ACTIVE, "active"), (False, IDLE, "idle")):
                part = table[table["guide_active"] == active]
                if part.empty:
                    continue
                spread = part.groupby("unit")[name].quantile([0.1, 0.5, 0.9]).unstack()
                x = [place[unit] for unit in spread.index]
                ax.errorbar(
                    x,
                    spread[0.5],
                    np.abs(spread[[0.1, 0.9]].sub(spread[0.5], axis=0)).T.to_numpy(),
                    fmt="o",
                    color=colour,
                    mfc=colour if active else "white",
                    linewidth=0.8,
                    label=f"{label} ({part['unit'].nunique()} units)",
                )
            ax.set_ylabel(title)
        axes[1].set_yscale("log")
        axes[1].minorticks_off()
        low, high = axes[1].get_ylim()
        low, high = min(low, 0.5), max(high, 2.0)
        ticks = [t for t in (0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 4, 10, 30) if low <= t <= high]
        axes[1].set_yticks(ticks, [f"{t:g}" for t in ticks])
        axes[1].set_ylim(low, high)
        axes[2].set_xticks(range(len(order)), [str(unit) for unit in order])
        axes[2].set_xlabel("Latent unit, by the true posterior's sd")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption = (
        "Guide against true posterior (NUTS) for each latent unit over "
        f"{table['datum'].nunique()} test points that pass the gate: median and 10 to 90 % range. "
        "Filled: units that are active in the guide; hollow: idle ones. Dashed: a perfect guide."
    )
    return Drawn("fit", figure, table, caption)
