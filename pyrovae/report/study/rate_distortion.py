"""The rate-distortion plane (Alemi et al. 2018): where each run stands, and on which ELBO."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.measures.collapse.bounds import DISTORTION, ELBO, RATE
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.intervals import summarise
from pyrovae.report.look.legends import Group, colour_group, legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten


@carries_mark
def rate_distortion(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw each run's rate and distortion on the test set, over lines of equal ELBO.

    Returns
    -------
    Drawn
        ``data`` has a row for each run: ``rate``, ``distortion`` and ``elbo`` in nats per datum;
        ``cell_rate`` and ``cell_distortion``, the means over its cell, with ``…_low`` and
        ``…_high``, the ends of their intervals.
    """
    encoding = presented.encoding
    labels = encoding.labels
    data = presented.runs[["run", "cell", *labels, "seed", "rate", "distortion", "elbo"]]
    for key in ("rate", "distortion"):
        found = summarise(data, ["cell"], key).set_index("cell")
        for column, end in (("mean", ""), ("low", "_low"), ("high", "_high")):
            data = data.assign(**{f"cell_{key}{end}": data["cell"].map(found[column])})
    several = data["cell"].duplicated().any()
    with theme(style):
        shown = encoding.panels(data, encoding.others)
        one = len(shown) == 1
        figure, axes, _ = panels(
            len(shown),
            style,
            height=2.3 if one else 1.7,
            columns=1 if one else 2,
            extra=0.5,
            share="none",
        )
        for (title, part), ax in zip(shown, axes, strict=True):
            _panel(ax, part, encoding, style, means=several)
            ax.set_title(names.wrapped(title, 30))
        figure.supxlabel(RATE.axis_label)
        figure.supylabel(DISTORTION.axis_label)
        _legend(figure, encoding)
        tighten(figure)
    points = (
        f"small points: runs; outlined: means of cells. {captions.interval(presented, 'Bars')}"
        if several
        else f"one point a run. {captions.seeds(presented).capitalize()} a cell."
    )
    caption = (
        "Rate E_x KL(q(z|x) || p(z)) and distortion E_x E_q[-log p(x|z)] on the test set, in nats "
        f"per datum; {points} Grey lines: equal ELBO (in nats), rising towards the lower left. "
        f"{captions.setting(presented)}"
    )
    data = data.drop(columns="cell")
    return Drawn("rate-distortion", figure, data, caption.strip())


def _panel(ax: Axes, part: pd.DataFrame, encoding: Encoding, style: Style, *, means: bool) -> None:
    """Draw runs, and the means of their cells with intervals if asked for."""
    shapes = {
        "hue": encoding.first,
        "palette": encoding.colours(),
        "style": encoding.second,
        "markers": encoding.markers() if encoding.second else True,
        "legend": False,
    }
    sns.scatterplot(
        part,
        x="rate",
        y="distortion",
        **shapes,
        s=12 * style.scale**2,
        alpha=0.7,
        linewidth=0,
        ax=ax,
    )
    if means:
        for row in part.drop_duplicates("cell").to_dict("records"):
            ax.errorbar(
                row["cell_rate"],
                row["cell_distortion"],
                xerr=_around(row, "cell_rate"),
                yerr=_around(row, "cell_distortion"),
                ecolor=encoding.colours()[row[encoding.first]],
                elinewidth=0.8 * style.scale,
                fmt="none",
                zorder=2,
            )
        sns.scatterplot(
            part.drop_duplicates("cell"),
            x="cell_rate",
            y="cell_distortion",
            **shapes,
            s=30 * style.scale**2,
            edgecolor="0.15",
            linewidth=0.7 * style.scale,
            zorder=3,
            ax=ax,
        )
    ax.margins(0.12)
    ax.set(xlabel="", ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    _equal_elbo(ax, style)


def _around(row: Mapping[Hashable, Any], key: str) -> list[list[float]] | None:
    """Return how far an interval reaches below and above its mean; nothing if there is none."""
    low, mean, high = row[f"{key}_low"], row[key], row[f"{key}_high"]
    return None if math.isnan(low) else [[mean - low], [high - mean]]


def _legend(figure: Figure, encoding: Encoding) -> None:
    groups: list[Group] = []
    if len(encoding.levels[encoding.first]) > 1:
        groups.append(colour_group(encoding, linestyle="", marker="o"))
    if encoding.second:
        groups.append(marker_group(encoding))
    if groups:
        legend_above(figure, groups)


def _equal_elbo(ax: Axes, style: Style) -> None:
    """Draw lines of equal -(rate + distortion), each named where it leaves the panel."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    elbos = MaxNLocator(9).tick_values(-(right + top), -(left + bottom))
    at_right: dict[float, str] = {}
    at_top: dict[float, str] = {}
    for elbo in elbos:
        name = f"{elbo:g}".replace("-", "\N{MINUS SIGN}")
        ax.plot([left, right], [-elbo - left, -elbo - right], color=LIGHT_GREY, lw=0.6, zorder=0)
        if bottom <= -elbo - right <= top:
            at_right[-elbo - right] = name
        elif left <= -elbo - top <= right:
            at_top[-elbo - top] = name
    ax.set(xlim=(left, right), ylim=(bottom, top))
    for axis, named in (
        (ax.secondary_yaxis("right").yaxis, at_right),
        (ax.secondary_xaxis("top").xaxis, at_top),
    ):
        axis.set_ticks(list(named), list(named.values()))
        axis.set_tick_params(length=0, labelcolor=GREY, labelsize=style.small - 1, pad=1)
        if named and axis.axis_name == "y":
            axis.set_label_text(ELBO.axis_label, color=GREY, fontsize=style.small)
            axis.labelpad = 4
        for spine in axis.axes.spines.values():
            spine.set_visible(False)
