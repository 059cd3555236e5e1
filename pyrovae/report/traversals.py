"""Latent traversals: what each unit of one run draws."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pyrovae.report.drawn import Drawn
from pyrovae.report.encoding import encode
from pyrovae.report.mosaics import fit, mosaic, show
from pyrovae.report.names import slug, wrapped
from pyrovae.report.style import GREY, PAPER, Style, theme, tighten
from pyrovae.study.results import StudyResults

#: Quantiles of the prior that a traversal starts and ends at (see ``study.evaluation``).
_ENDS = (0.05, 0.95)


def traversals(study: StudyResults, run: str, *, style: Style = PAPER) -> Drawn:
    """Draw the traversals of a run: a row for each unit, by falling KL.

    Returns
    -------
    Drawn
        ``data`` has a row for each unit shown: ``kl`` in nats, ``active``, and the lowest and
        highest quantile of its prior.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    folder = study.folder(run)
    images = folder.images()
    units = folder.units().set_index("unit").loc[images["traversed"].tolist()].reset_index()
    steps = images["traversals"].shape[1]
    quantiles = np.linspace(*_ENDS, steps)
    row = study.runs.set_index("run", drop=False).loc[run]
    title = encode(study).cell_title(row)
    with theme(style):
        figure = Figure(figsize=(style.column, 2 * style.column))
        ax = figure.subplots()
        show(
            ax,
            mosaic(images["traversals"]),
            rows=[f"unit {row.unit}, KL = {row.kl:.2f}" for row in units.itertuples()],
            columns=[f"{100 * q:.0f}" for q in quantiles],
        )
        for label, active in zip(ax.get_yticklabels(), units["active"], strict=True):
            label.set_color("black" if active else GREY)
            label.set_fontstyle("normal" if active else "italic")
        ax.set_xlabel("Quantile of the prior (%)")
        ax.set_ylabel("Latent unit, KL in nats")
        ax.set_title(wrapped(title, 44))
        tighten(figure)
        fit(figure, ax)
    data = units[["unit", "kl", "active"]].assign(
        run=run, seed=row["seed"], lowest_quantile=_ENDS[0], highest_quantile=_ENDS[1]
    )
    caption = (
        f"Latent traversals, {title}, seed {row['seed']}: each row changes one unit of the code of "
        f"the first test image from the {_ENDS[0]:.0%} to the {_ENDS[1]:.0%} quantile of the "
        "unit's prior. Rows: units by falling KL; in italics: inactive."
    )
    return Drawn(f"traversals-{slug(title)}", figure, data, caption)
