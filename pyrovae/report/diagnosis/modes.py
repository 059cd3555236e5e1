"""Marginals of the true posterior that have several modes, and what the guide makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.style import PAPER, Style, roles, theme

_PANELS = 8
_BINS = 60


def modes(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw each chain of the marginals in which several modes were seen, with the guide's.

    One unit of each point, the one with the most modes, or the main direction where no unit alone
    shows them; of these the points with the most.

    Raises
    ------
    NothingToDraw
        If no point has several modes.
    """
    data, points = found.data, found.points
    known = data["constant_data"]
    counts, along = np.asarray(known["modes"]), np.asarray(known["main_modes"])
    directions = np.asarray(known["main_direction"])
    several = np.flatnonzero((counts > 1).any(1) | (along > 1))
    if not len(several):
        raise NothingToDraw("no true posterior has several modes")
    most = np.maximum(counts.max(1), along)
    shown = several[np.argsort(-most[several], kind="stable")][:_PANELS]
    z, guide = (np.asarray(data[group]["z"]) for group in ("posterior", "guide"))
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    blue, orange = roles(2)
    rows = []
    with theme(style):
        figure = Figure(figsize=(style.text, 0.5 + 1.4 * lines), layout="constrained")
        axes = np.ravel(figure.subplots(lines, columns, squeeze=False))
        for ax, point in zip(axes, shown, strict=False):
            unit = int(counts[point].argmax()) if counts[point].max() > 1 else None
            line = directions[point] if unit is None else np.eye(len(directions[point]))[unit]
            chains, q = z[:, :, point] @ line, (guide[:, :, point] @ line).ravel()
            where = "main direction" if unit is None else f"unit {unit}"
            edges = np.linspace(min(chains.min(), q.min()), max(chains.max(), q.max()), _BINS + 1)
            for chain, values in enumerate(chains):
                height, _ = np.histogram(values, edges, density=True)
                ax.stairs(
                    height, edges, color=blue, linewidth=0.6, alpha=0.8,
                    label="true posterior, each chain" if chain == 0 else None,
                )  # fmt: skip
            height, _ = np.histogram(q, edges, density=True)
            ax.stairs(
                height, edges, color=orange, linewidth=0.9, linestyle=(0, (3, 1.5)), label="guide"
            )
            told = points.iloc[point]
            gate = "passes" if told["passed"] else "fails the gate"
            ax.set_title(f"point {told['datum']}, {where}: {gate}")
            ax.set_yticks([])
            rows.append(
                {
                    "datum": told["datum"],
                    "unit": unit,
                    "modes": along[point] if unit is None else counts[point, unit],
                    "passed": told["passed"],
                    "units_with_modes": int((counts[point] > 1).sum()),
                }
            )
        for ax in axes[len(shown) :]:
            ax.set_axis_off()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    caption = (
        f"True posteriors with several modes, {len(shown)} of the {len(several)} points that have "
        f"any (of {len(points)}): for each the unit that shows them, or the direction in which its "
        "units go together. A line for each chain: chains "
        "that stay in different modes do not tell the modes' shares, and their point fails the "
        "gate."
    )
    return Drawn("modes", figure, pd.DataFrame(rows), caption)
