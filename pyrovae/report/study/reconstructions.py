"""Reconstructions: the same test images through every cell."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.mosaics import crowded, sheet
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.shown import shown
from pyrovae.report.look.style import PAPER, Style

#: Cells in one figure: more would not fit a page.
_ROWS = 14
#: Images of each cell, at least.
_FEWEST = 3


@carries_mark
def reconstructions(presented: Presented, *, style: Style = PAPER) -> list[Drawn]:
    """Draw inputs, and below them each cell's reconstructions of them.

    Returns
    -------
    list of Drawn
        One for each combination of the labels beyond the second, and every 14 cells; ``data`` has
        a row for each row of images.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    encoding = presented.encoding
    pages = []
    # The top row has one set of inputs, so a page is about one data set.
    by = list(dict.fromkeys([*encoding.others, "dataset"]))
    for _, group in encoding.panels(presented.representatives, by):
        pages += [group.iloc[start : start + _ROWS] for start in range(0, len(group), _ROWS)]
    inside = [label for label in (encoding.first, encoding.second) if label]
    made = []
    for number, page in enumerate(pages, 1):
        images = [presented.study.folder(run).images() for run in page["run"]]
        inputs = images[0]["inputs"][: min(len(each["inputs"]) for each in images)]
        rows = torch.stack([inputs, *(each["reconstructions"][: len(inputs)] for each in images)])
        titles = [
            "\n".join(figure_text(encoding.show(label, row[label])) for label in inside)
            for row in page.to_dict("records")
        ]
        title = encoding.title(page.iloc[0], encoding.others) if encoding.others else ""
        label = ", ".join(names.title(k) for k in inside).capitalize()
        k = rows.shape[1]
        figure, ax = _sheet(rows, titles, label, title, style)
        while crowded(ax) and k > _FEWEST:
            k -= 1  # Fewer images are larger, and so are the rows that the names stand beside.
            figure, ax = _sheet(rows[:, :k], titles, label, title, style)
        data = page[["run", *encoding.labels, "seed", "distortion"]].reset_index(drop=True)
        told = shown(presented, page["run"])
        caption = (
            f"Reconstructions {told} at z = E_q[z|x] of {k} test images (top row), a row for each "
            "cell: its first finished seed."
        )
        name = "reconstructions" if len(pages) == 1 else f"reconstructions-{number}"
        made.append(Drawn(name, figure, data, caption))
    return made


def _sheet(
    rows: Tensor, titles: list[str], label: str, title: str, style: Style
) -> tuple[Figure, Axes]:
    named = ["input", *titles]
    with sheet(rows, rows=named, columns=(), title=title, style=style) as (figure, ax):
        ax.set_ylabel(label)
    figure.draw_without_rendering()
    return figure, ax
