"""Latent traversals: what each unit of one run draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from pyrovae.analysis.active import is_active
from pyrovae.measures.traversal import ENDS, Over
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.mosaics import sheet
from pyrovae.report.look.names import slug
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Style

#: Stands below the name of a unit that is.
INACTIVE = "\ninactive"
#: What the values of a traversal are quantiles of.
_OVER = {"prior": "prior", "posterior": "aggregate posterior"}


@carries_mark
def traversals(presented: Presented, run: str, *, style: Style = PAPER) -> Drawn:
    """Draw the stored traversals of a run: a row for each unit, in order of decreasing KL.

    Returns
    -------
    Drawn
        See :func:`traversal_grid`.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    folder = presented.study.folder(run)
    images = folder.images()
    units = folder.units().set_index("unit").loc[images["traversed"].tolist()].reset_index()
    row = presented.runs.set_index("run", drop=False).loc[run]
    title = presented.titles[row["cell"]]
    drawn = traversal_grid(images["traversals"], units, title=title, style=style)
    data = drawn.data.assign(run=run, seed=row["seed"])
    caption = f"{drawn.caption} Seed {row['seed']}."
    return Drawn(f"traversals-{slug(title)}", drawn.figure, data, caption)


def traversal_grid(
    images: Tensor,
    units: pd.DataFrame,
    *,
    over: Over = "prior",
    point: int = 0,
    title: str = "",
    style: Style = PAPER,
) -> Drawn:
    """Draw the traversals of one datum: a row for each unit, a column for each value.

    Parameters
    ----------
    images
        ``(units, steps, *event)``, as from :func:`pyrovae.measures.traversal.traverse`.
    units
        The rows of :meth:`RunFolder.units` that belong to the rows of images.
    over
        What the values are quantiles of.
    point
        Which test image it is.
    title
        Of the figure.
    style
        Of the figure.

    Returns
    -------
    Drawn
        ``data`` has a row for each unit shown: ``kl`` in nats, ``active``, and the quantiles that
        its first and last image stand for.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    quantiles = np.linspace(*ENDS, images.shape[1])
    units = units.assign(active=is_active(units))
    rows, columns = unit_names(units), [f"{100 * q:.0f}" for q in quantiles]
    with sheet(images, rows=rows, columns=columns, title=title, style=style) as (figure, ax):
        mark_inactive(ax, units)
        ax.set_xlabel(f"Quantile of the {_OVER[over]} (%)")
        ax.set_ylabel("Latent unit, KL in nats")
    data = units[["unit", "kl", "active"]].assign(
        lowest_quantile=ENDS[0], highest_quantile=ENDS[1], over=over, point=point
    )
    caption = (
        f"Latent traversals{f', {title}' if title else ''}: each row changes one unit of the code "
        f"of test image {point + 1} from the {ENDS[0]:.0%} to the {ENDS[1]:.0%} quantile of the "
        f"unit's {_OVER[over]}. Rows: units in order of decreasing KL; grey italics: idle."
    )
    return Drawn(f"traversals-{point + 1}", figure, data, caption)


def unit_names(units: pd.DataFrame) -> list[str]:
    """Return what stands beside each unit's row of images."""
    return [
        f"unit {row.unit}, KL = {row.kl:.2f}{'' if row.active else INACTIVE}"
        for row in units.itertuples()
    ]


def mark_inactive(ax: Axes, units: pd.DataFrame) -> None:
    """Write the names of inactive units in grey italics."""
    for label, active in zip(ax.get_yticklabels(), units["active"], strict=True):
        if not active:
            label.set(color=GREY, fontstyle="italic")
