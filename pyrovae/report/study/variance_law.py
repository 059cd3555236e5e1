"""The variance law (Asperti and Trentin 2020): where the units of all runs lie."""

from __future__ import annotations

import seaborn as sns
from matplotlib.ticker import MaxNLocator

from pyrovae.analysis.active import criterion, is_active
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.legends import legend_above, marker_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten


@carries_mark
def variance_law(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw Var(mu) of each unit against E(sigma²), a panel for each level of the first label.

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
        figure, axes, _ = panels(len(shown), style, height=1.5, extra=0.45, share="none")
        colours = encoding.colours()
        for (title, part), ax in zip(shown, axes, strict=True):
            if part["law"].all():
                ax.plot([0, 1], [1, 0], color=GREY, lw=0.7 * style.scale, ls="--", zorder=0)
            colour = colours[part[encoding.first].iloc[0]]
            for active, shade in ((False, LIGHT_GREY), (True, colour)):
                if not (part["active"] == active).any():
                    continue
                sns.scatterplot(
                    part[part["active"] == active],
                    x="mean_var",
                    y="var_mu",
                    color=shade,
                    style=encoding.second,
                    markers=encoding.markers() if encoding.second else True,
                    s=9 * style.scale**2,
                    alpha=0.45 if active else 0.8,
                    linewidth=0,
                    legend=False,
                    ax=ax,
                )
                # Units in their hundreds are one picture, not as many shapes.
                ax.collections[-1].set_rasterized(len(part) > 2000)
            ax.set(xlabel="", ylabel="")
            # Under a wide prior variances are far above one: each panel has a scale of its own.
            for axis, key in ((ax.xaxis, "mean_var"), (ax.yaxis, "var_mu")):
                top = 1.06 * max(float(part[key].max()), 1.0)
                axis.set_major_locator(MaxNLocator(4))
                axis.set_view_interval(-0.05 * top, top, ignore=True)
            ax.set_title(names.wrapped(title, 30))
        figure.supxlabel(r"$\mathbb{E}_x\,\mathrm{Var}[z_u|x]$")
        figure.supylabel(r"$\mathrm{Var}_x\,\mathbb{E}[z_u|x]$")
        if encoding.second:
            legend_above(figure, [marker_group(encoding)])
        tighten(figure)
    law = (
        " Dashed: their sum is one, the optimum under a standard normal prior (Asperti and Trentin "
        "2020)."
        if data["law"].any()
        else ""
    )
    caption = (
        "Variance of the posterior means of each latent unit against the mean of its posterior "
        f"variances, on the test set; a point for each unit of each run.{law} Grey: units that are "
        f"not active. {criterion(units)} "
        f"{captions.seeds(presented).capitalize()} a cell. {captions.setting(presented)}"
    )
    return Drawn("variance-law", figure, data, caption.strip())
