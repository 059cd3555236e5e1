"""Per-dimension KL profile: how the rate is shared out among the latent units."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pyrovae.analysis.active import is_active
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.legends import legend_above, legend_in, line_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten

#: Below this many nats the scale is linear: Monte Carlo estimates of a collapsed unit's KL scatter
#: around zero, on both sides.
LINEAR_BELOW = 0.01


@carries_mark
def kl_profile(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the KL of each unit against its rank, a line for each level of the first label.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell and position (1 for the unit of largest KL in its run):
        ``mean`` of the KL in nats, its ``low`` and ``high`` over seeds, ``n`` seeds, ``active``,
        the share of seeds whose unit there is active (:mod:`pyrovae.analysis.active`).
    """
    encoding = presented.encoding
    units = presented.units.assign(position=lambda table: table["rank"] + 1)
    cell = units.groupby(encoding.labels, sort=False).ngroup()
    units = units.assign(cell=cell, active=is_active(units))
    units = units.sort_values(["cell", "position"], kind="stable")
    by = [*encoding.labels, "position"]
    grouped = units.groupby(by, sort=False)["kl"]
    data = grouped.agg(mean="mean", low="min", high="max", n="count").reset_index()
    share = units.groupby(by, sort=False)["active"].mean().rename("active").reset_index()
    data = data.merge(share, on=by)
    split, known = encoding.labels[1:], False
    with theme(style):
        shown = encoding.panels(units, split)
        figure, axes, free = panels(len(shown), style, height=1.3 if split else 1.7, extra=0.45)
        for (title, part), ax in zip(shown, axes, strict=True):
            sns.lineplot(
                part,
                x="position",
                y="kl",
                hue=encoding.first,
                style=encoding.first,
                palette=encoding.colours(),
                dashes=encoding.first_dashes(),
                # Where some seeds have one more active unit than others, values are of two
                # kinds: an interval of their mean would reach below zero.
                errorbar=("pi", 100),
                err_kws={"alpha": 0.22, "lw": 0},
                legend=False,
                ax=ax,
            )
            floors = _floors(part, encoding.first)
            for level, floor in floors.items():
                colour = encoding.colours()[level]
                ax.axhline(floor, color=colour, lw=0.6 * style.scale, ls=(0, (1, 3)), zorder=0)
            known |= bool(floors)
            ax.set(xlabel="", ylabel="")
            ax.set_title(names.wrapped(title, 30))
        _scale(axes, float(data["mean"].max()), int(data["position"].max()))
        figure.supxlabel("Latent unit, in order of decreasing KL")
        figure.supylabel(r"$\mathrm{KL}(q(z_u|x)\,\|\,p(z_u))$ (nats)")
        group = line_group(encoding)
        if free and len(group[1]) <= 8:
            legend_in(free[0], group)
        elif len(group[1]) > 1:
            legend_above(figure, [group])
        tighten(figure)
    panel = f" Panels: {' and '.join(names.title(k).lower() for k in split)}." if split else ""
    least = (
        " Thin dotted lines: the least that a posterior of this family can have under the prior, "
        "where that is above 0; an idle unit keeps it."
        if known
        else ""
    )
    caption = (
        "Mean KL(q(z_u|x) || p(z_u)) over the test set for each latent unit, in decreasing order "
        f"within each run; logarithmic above {LINEAR_BELOW} nats, linear below. Lines: means over "
        f"seeds. Bands: the range over {captions.seeds(presented)}.{least}{panel} "
        f"{captions.setting(presented)}"
    )
    return Drawn("kl-profile", figure, data, caption.strip())


def _floors(units: pd.DataFrame, first: str) -> dict[Any, float]:
    """Return the least KL that a unit can have, by level, where that is known and shown."""
    if "kl_floor" not in units:
        return {}
    floors = units.groupby(first, sort=False)["kl_floor"].mean()
    return {level: float(floor) for level, floor in floors.items() if floor > LINEAR_BELOW / 10}


def _scale(axes: list[Axes], top: float, units: int) -> None:
    decades = [10.0**k for k in range(-2, max(1, math.ceil(math.log10(max(top, 0.1)))) + 1)]
    for ax in axes:
        ax.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.5)
        ax.yaxis.set_major_locator(FixedLocator([0.0, *decades]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_ylim(bottom=-LINEAR_BELOW / 2)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=2))
        ax.set_xlim(1, max(units, 2))
