"""Latent interpolations: what lies between two data, by the model."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from torch import Tensor

from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.mosaics import sheet
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style


@carries_mark
def interpolations(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the stored interpolations of each cell's first finished seed.

    Raises
    ------
    NothingToDraw
        If the observations are no images, or the run was measured by an earlier version.
    """
    chosen = presented.representatives.to_dict("records")
    for row in chosen:
        images = presented.study.folder(row["run"]).images()
        if "interpolations" not in images:
            raise NothingToDraw(
                "the run was measured by an earlier version: pyrovae traverse draws interpolations"
            )
        title = presented.titles[row["cell"]]
        drawn = interpolation_grid(images["interpolations"], title=title, style=style)
        data = drawn.data.assign(run=row["run"], seed=row["seed"])
        caption = f"{drawn.caption} Seed {row['seed']}."
        yield Drawn(f"interpolations-{names.slug(title)}", drawn.figure, data, caption)


def interpolation_grid(images: Tensor, *, title: str = "", style: Style = PAPER) -> Drawn:
    """Draw what lies between pairs of test images, a row for each pair.

    Parameters
    ----------
    images
        ``(pairs, steps, *event)``: between the first and second test image, the third and fourth
        and so on; as from :func:`pyrovae.measures.traversal.between`.
    title
        Of the figure.
    style
        Of the figure.

    Returns
    -------
    Drawn
        ``data`` has a row for each row of images: which test images it is between.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    pairs, steps = images.shape[:2]
    rows = [f"{2 * i + 1} to {2 * i + 2}" for i in range(pairs)]
    columns = [f"{100 * i / (steps - 1):.0f}" for i in range(steps)]
    with sheet(images, rows=rows, columns=columns, title=title, style=style) as (figure, ax):
        ax.set_xlabel("Share of the way (%)")
        ax.set_ylabel("Test images")
    caption = (
        f"Latent interpolations{f', {title}' if title else ''}: decoded codes on the straight line "
        "between the posterior means of two test images (on a sphere: on the arc). The ends are "
        "these images' reconstructions."
    )
    data = pd.DataFrame(
        {"first": [2 * i + 1 for i in range(pairs)], "last": [2 * i + 2 for i in range(pairs)]}
    ).assign(steps=steps)
    return Drawn("interpolations", figure, data, caption)
