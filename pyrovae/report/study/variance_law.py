"""The variance law (Asperti and Trentin 2020): where the units of all runs lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pyrovae.analysis.active import criterion, is_active
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.legends import Group, legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, IDLE, PAPER, Style, theme, tighten

#: Of a panel whose values are that many times as large as another's, the rest would not be seen.
_WIDE = 4.0
SCALE = " Axes are linear up to 1 and logarithmic above."


@carries_mark
def variance_law(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw E(sigma²) of each unit against Var(mu), a panel for each level of the first label.

    Both axes have one scale, the same in all panels, on which the law is a diagonal.

    Returns
    -------
    Drawn
        ``data`` has a row for each unit of each run: ``var_mu`` = Var_x(E[z_u|x]), ``mean_var`` =
        E_x(Var[z_u|x]), ``active``; ``law``, whether the sum is one at the optimum: under a
        standard normal prior.
    """
    encoding = presented.encoding
    units = presented.units
    normal = {run: config.has_variance_law for run, config in presented.study.configs.items()}
    units = units.assign(active=is_active(units), law=units["run"].map(normal))
    columns = ["run", *encoding.labels, "seed", "unit", "var_mu", "mean_var", "active", "law"]
    data = units[columns].reset_index(drop=True)
    with theme(style):
        shown = encoding.panels(data, [encoding.first, *encoding.others])
        titles = [names.wrapped(title, 30) for title, _ in shown]
        # Square panels do not give way to titles of two lines: the figure has to.
        lines = max(title.count("\n") for title in titles)
        figure, axes, _ = panels(len(shown), style, height=1.65, extra=0.45 + 0.13 * lines)
        colours = encoding.colours()
        for title, (_, part), ax in zip(titles, shown, axes, strict=True):
            if part["law"].all():
                ax.plot([0, 1], [1, 0], color=GREY, lw=0.7 * style.scale, ls="--", zorder=0)
            colour = colours[part[encoding.first].iloc[0]]
            for active in (False, True):
                if not (part["active"] == active).any():
                    continue
                # Idle units lie close together: hollow and above, they hide no used one.
                look: dict[str, Any] = (
                    {"color": colour, "alpha": 0.6, "linewidth": 0, "zorder": 2}
                    if active
                    else {"fc": "none", "ec": IDLE, "linewidth": 0.6 * style.scale, "zorder": 3}
                )
                sns.scatterplot(
                    part[part["active"] == active],
                    x="var_mu",
                    y="mean_var",
                    style=encoding.second,
                    markers=encoding.markers() if encoding.second else True,
                    s=9 * style.scale**2,
                    legend=False,
                    ax=ax,
                    **look,
                )
                # Units in their hundreds are one picture, not as many shapes.
                ax.collections[-1].set_rasterized(len(part) > 2000)
            ax.set(xlabel="", ylabel="")
            ax.set_title(title)
        stretched = _one_scale(axes, data)
        figure.supxlabel(r"$\mathrm{Var}_x\,\mathbb{E}[z_u|x]$")
        figure.supylabel(r"$\mathbb{E}_x\,\mathrm{Var}[z_u|x]$")
        groups = [marker_group(encoding)] if encoding.second else []
        groups.append(_idle(colours, data, encoding))
        legend_above(figure, groups)
        tighten(figure)
    counted = presented.runs.get("used_units")
    turned = counted is not None and counted.sum() != data["active"].sum()
    by_itself = " Here each unit is judged by itself, whatever its direction." if turned else ""
    law = (
        " Dashed: their sum is one, the optimum under a standard normal prior (Asperti and Trentin "
        "2020)."
        if data["law"].any()
        else ""
    )
    caption = (
        "Variance of the posterior means of each latent unit against the mean of its posterior "
        f"variances, on the test set; a point for each unit of each run.{law} Filled: active "
        f"units; hollow and grey: idle ones.{SCALE if stretched else ''} "
        f"{criterion(units)}{by_itself} {captions.seeds(presented).capitalize()} a cell. "
        f"{captions.setting(presented)}"
    )
    return Drawn("variance-law", figure, data, caption.strip())


def _one_scale(axes: Sequence[Axes], data: pd.DataFrame) -> bool:
    """Give all axes the same limits, and panels a square shape; tell whether they are stretched."""
    largest = data.groupby("run")[["var_mu", "mean_var"]].max().max(axis=1)
    top = max(float(largest.max()), 1.0)
    stretched = top > _WIDE * max(float(largest.min()), 1.0)
    for ax in axes:
        ax.set_box_aspect(1)
        for axis, set_scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
            if stretched:
                set_scale("symlog", linthresh=1.0, linscale=1.0)
                decades = [10.0**k for k in range(math.ceil(math.log10(top)) + 1)]
                axis.set_major_locator(FixedLocator([0.0, 0.5, *decades]))
                axis.set_minor_locator(NullLocator())
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            else:
                axis.set_major_locator(MaxNLocator(4))
            axis.set_view_interval(-0.05, top * (1.3 if stretched else 1.06), ignore=True)
    return stretched


def _idle(colours: dict[Any, Any], data: pd.DataFrame, encoding: Encoding) -> Group:
    """Return the entries of used and of idle units, with their numbers."""
    used = int(data["active"].sum())
    one = next(iter(colours.values())) if len(colours) == 1 else GREY
    marker = next(iter(encoding.markers().values()))
    entries = [
        Line2D([], [], color=colour, mfc=fill, marker=marker, ls="", label=f"{which} ({n})")
        for which, colour, fill, n in (
            ("active", one, one, used),
            ("idle", IDLE, "none", len(data) - used),
        )
    ]
    return "Units", entries
