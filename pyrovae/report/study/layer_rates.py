"""What each layer of codes adds to the rate, along training: when upper layers die."""

from __future__ import annotations

import math

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.layers import by_layer, layers_of, shades
from pyrovae.report.look.legends import legend_above
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import DASHES, PAPER, Style, theme, tighten

#: Below this many nats the scale is linear.
_LINEAR_BELOW = 0.1


@carries_mark
def layer_rates(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the rate of each layer over steps, a panel for each cell.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell, ``step`` and ``layer``: ``mean``, ``low`` and ``high``
        (the range over seeds) of the rate in nats, and ``n`` seeds.

    Raises
    ------
    NothingToDraw
        If no run of the study has layers.
    """
    encoding = presented.encoding
    long = by_layer(presented.history, "rate")
    by = [*encoding.labels, "layer", "step"]
    grouped = long.groupby(by, sort=False, observed=True)["rate"]
    data = grouped.agg(mean="mean", low="min", high="max", n="count").reset_index()
    layers = layers_of(data)
    top = max(_LINEAR_BELOW, float(data["mean"].max()))
    decades = [10.0**k for k in range(-1, math.ceil(math.log10(top)) + 1)]
    shade = shades(layers)
    with theme(style):
        shown = encoding.panels(data, encoding.labels)
        figure, axes, _ = panels(len(shown), style, height=1.3, extra=0.45)
        for (title, part), ax in zip(shown, axes, strict=True):
            for i, layer in enumerate(layers):
                line = part[part["layer"] == layer].sort_values("step")
                if line.empty:
                    continue
                (drawn,) = ax.plot(line["step"], line["mean"], color=shade[layer])
                if DASHES[i % len(DASHES)]:
                    drawn.set_dashes(DASHES[i % len(DASHES)])
                ax.fill_between(
                    line["step"], line["low"], line["high"], color=shade[layer], alpha=0.22, lw=0
                )
            ax.set_title(names.wrapped(title, 30))
            ax.set_yscale("symlog", linthresh=_LINEAR_BELOW, linscale=0.5)
            ax.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
            ax.yaxis.set_major_locator(FixedLocator([0.0, *decades]))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_locator(NullLocator())
        figure.supxlabel("Training steps")
        figure.supylabel("Rate (nats)")
        legend_above(figure, [("Layer", _entries(layers, shade))])
        tighten(figure)
    caption = (
        "What each layer adds to the rate, held-out data, along training. With a ladder that is "
        "E KL(q(z_l|z_{l+1}, x) || p(z_l|z_{l+1})); under a bottom-up guide, E[log q(z_l|z_{l-1}) "
        "- log p(z_l|z_{l+1})], which adds up to the rate too and is a KL of the top layer alone. "
        f"Linear below {_LINEAR_BELOW:g} nats, logarithmic above. Lines: means over seeds. Bands: "
        f"the range over {captions.seeds(presented)}. {captions.setting(presented)}"
    )
    return Drawn("layer-rates", figure, data, caption.strip())


def _entries(layers: list[str], shade: dict[str, str]) -> list[Line2D]:
    entries = [Line2D([], [], color=shade[layer], label=layer) for layer in layers]
    for i, entry in enumerate(entries):
        if DASHES[i % len(DASHES)]:
            entry.set_dashes(DASHES[i % len(DASHES)])
    return entries
