"""How many units of each layer are used: how far up a hierarchy lives."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from pyrovae.measures.collapse.measure import USED_UNITS
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.intervals import summarise
from pyrovae.report.look.layers import by_layer, layers_of
from pyrovae.report.look.legends import legend_above, line_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten


@carries_mark
def used_by_layer(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the number of active units of each layer, a line for each level of the first label.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell and ``layer``: ``mean``, ``low``, ``high`` and ``n`` seeds.

    Raises
    ------
    NothingToDraw
        If no run of the study has layers.
    """
    encoding, key = presented.encoding, USED_UNITS.key
    long = by_layer(presented.runs, key)
    data = summarise(long, [*encoding.labels, "layer"], key, USED_UNITS)
    layers = layers_of(data)
    place = {layer: i for i, layer in enumerate(layers)}
    split = encoding.labels[1:]
    dashes = encoding.first_dashes()
    with theme(style):
        shown = encoding.panels(data, split)
        figure, axes, _ = panels(len(shown), style, height=1.3, extra=0.45)
        for (title, part), ax in zip(shown, axes, strict=True):
            levels = list(encoding.levels[encoding.first])
            for i, level in enumerate(levels):
                line = part[part[encoding.first] == level].sort_values(
                    "layer", key=lambda column: column.map(place)
                )
                # Side by side: where levels agree, intervals would hide each other.
                x = line["layer"].map(place) + 0.06 * (i - (len(levels) - 1) / 2)
                colour = encoding.colours()[level]
                (drawn,) = ax.plot(x, line["mean"], color=colour, marker="o", ms=2.5)
                if dashes[level]:
                    drawn.set_dashes(dashes[level])
                known = line["low"].notna()
                ax.vlines(x[known], line["low"][known], line["high"][known], color=colour, lw=0.8)
            ax.set_title(names.wrapped(title, 30))
            ax.set_xticks(np.arange(len(layers)), layers)
            ax.set_ylim(-0.3, max(1.0, 1.1 * float(data["mean"].max())))
            ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        figure.supxlabel("Layer, from the data upwards")
        figure.supylabel(USED_UNITS.axis_label)
        if len(encoding.levels[encoding.first]) > 1:
            legend_above(figure, [line_group(encoding)])
        tighten(figure)
    caption = (
        "Active units of each layer, on the test set: units of z1 that the decoder uses, and units "
        "of an upper layer that the layer below it, or the decoder, is generated from; replacing "
        "one by another datum's costs more than 0.1 nats and two standard errors. Markers: means "
        f"over seeds. {captions.interval(presented, 'Bars')} {captions.setting(presented)}"
    )
    return Drawn("used-by-layer", figure, data, caption.strip())
