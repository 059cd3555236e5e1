"""Figures of equal panels, at the width of a column or of the text."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyrovae.report.look.style import Style


def panels(
    n: int,
    style: Style,
    *,
    height: float,
    columns: int = 2,
    extra: float = 0.0,
    share: Literal["all", "none"] = "all",
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Make a figure with ``n`` panels.

    Parameters
    ----------
    n
        How many panels are needed.
    style
        Gives the width: a column, as long as the panels take two rows at most.
    height
        Of a panel, in inches of the two-column style; larger letters make it higher.
    columns
        Panels side by side in one column of the paper.
    extra
        Height that is needed besides the panels, in inches.
    share
        Whether all panels share both axes.

    Returns
    -------
    figure, used, free
        The figure, ``n`` axes, and those left over in the last row.
    """
    wide = n > 2 * columns
    across = min(n, 2 * columns if wide else columns)
    down = math.ceil(n / across)
    figure = Figure(
        figsize=(style.text if wide else style.column, (down * height + extra) * style.scale),
        layout="constrained",
    )
    grid = figure.subplots(down, across, sharex=share, sharey=share, squeeze=False)
    axes = list(np.ravel(grid))
    for ax in axes[n:]:
        ax.set_axis_off()
    # A panel above a free place has no neighbour to share tick labels with.
    for ax in axes[max(n - across, 0) : n]:
        ax.tick_params(labelbottom=True)
    return figure, axes[:n], axes[n:]
