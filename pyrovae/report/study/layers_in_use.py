"""The layer from which on nothing is used."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.measures.collapse.measure import USED_LAYERS, USED_UNITS
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.layers import by_layer
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten


@carries_mark
def layers_in_use(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw how many layers of each cell are in use, beside how many there are.

    Returns
    -------
    Drawn
        ``data`` has a row for each run: its cell's labels, ``seed``, ``layers``, ``used_layers``
        and ``dead_from``, the first layer that is not in use, empty if all are.

    Raises
    ------
    NothingToDraw
        If no run of the study has layers.
    """
    encoding = presented.encoding
    counted = by_layer(presented.runs, USED_UNITS.key).groupby("run", sort=False).size()
    columns = ["run", "cell", *encoding.labels, "seed", USED_LAYERS.key]
    data = presented.runs[presented.runs["run"].isin(counted.index)][columns]
    data = data.assign(layers=data["run"].map(counted))
    first = data[USED_LAYERS.key].astype(int) + 1
    data["dead_from"] = np.where(first > data["layers"], "", "z" + first.astype(str))
    cells = data.groupby("cell", sort=False)
    with theme(style):
        height = 0.55 + 0.22 * cells.ngroups
        figure = Figure(figsize=(style.column, height * style.scale), layout="constrained")
        ax = figure.subplots()
        titles = []
        for row, (_, part) in enumerate(cells):
            titles.append(names.wrapped(encoding.cell_title(part.iloc[0].to_dict()), 34))
            colour = encoding.look(part.iloc[0].to_dict())[0]
            ax.barh(row, part["layers"].iloc[0], height=0.6, fc="none", ec=LIGHT_GREY)
            ax.barh(row, part[USED_LAYERS.key].mean(), height=0.6, color=colour, alpha=0.75)
            spread = np.linspace(-0.18, 0.18, len(part)) if len(part) > 1 else [0.0]
            ax.scatter(part[USED_LAYERS.key], row + np.asarray(spread), s=5, color=GREY, zorder=3)
        ax.set_yticks(np.arange(len(titles)), titles)
        ax.invert_yaxis()
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("Layers in use, from z1 upwards")
        tighten(figure)
    caption = (
        "Layers in use, from z1 upwards until the first without a unit that is active and "
        "informative (with skip "
        "connections, up to the last that has one); from there on nothing is used. Outlines: the "
        "layers that there are. Bars: means over seeds; points: "
        f"seeds ({captions.seeds(presented)}). {captions.setting(presented)}"
    )
    return Drawn("layers-in-use", figure, data.drop(columns="cell"), caption.strip())
