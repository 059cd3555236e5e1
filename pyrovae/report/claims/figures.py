"""A claim's figure: what the runs show, and what the model makes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.claims import Claim, Verdict
from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import GREY, LIGHT_GREY, PAPER, Style, roles, theme, tighten


def claim_figure(name: str, claim: Claim, verdict: Verdict, *, style: Style = PAPER) -> Drawn:
    """Draw the evidence of a claim, and the posterior of the quantity that decides.

    Returns
    -------
    Drawn
        ``data`` is the evidence: a row for each run or unit.
    """
    with theme(style):
        figure = Figure(figsize=(style.text, 2.3), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        _evidence(left, verdict, style)
        _posterior(right, verdict, style)
        figure.suptitle(names.wrapped(claim.statement, 100))
        tighten(figure)
    low, high = verdict.interval
    bars = " (bars: 95 % intervals of the draws)" if "error" in verdict.evidence else ""
    caption = (
        f"{claim.statement}. Decided: {claim.criterion} Left: the runs{bars}. Right: posterior "
        f"of the {verdict.quantity} (line: under the prior alone); the claim holds in the shaded "
        f"region, with probability {verdict.probability:.3f} ({verdict.prior_probability:.2f} "
        f"under the prior alone). Mean {verdict.mean:.4g}, 95 % interval {low:.4g} to {high:.4g}."
    )
    return Drawn(f"claim-{names.slug(name)}", figure, verdict.evidence, caption)


def _evidence(ax: Axes, verdict: Verdict, style: Style) -> None:
    data = verdict.evidence
    groups = list(data["group"].drop_duplicates())
    numeric = pd.api.types.is_numeric_dtype(data["x"])
    # A group that has a place of its own on the axis needs no entry.
    several = len(groups) > 1 and not data["group"].equals(data["x"])
    shown = data.assign(group=data["group"].map(names.words).map(figure_text))
    if not numeric:
        shown["x"] = data["x"].map(lambda name: names.wrapped(names.words(name), 14))
    if "error" in data:
        width = 1.96 * data["error"]
        ax.errorbar(shown["x"], data["y"], yerr=width, fmt="none", color=GREY, lw=0.8, capsize=2)
        ax.axhline(0, color=LIGHT_GREY, lw=0.8, zorder=0)
    sns.scatterplot(
        shown,
        x="x",
        y="y",
        hue="group",
        style="group",
        palette=roles(len(groups)),
        s=14,
        alpha=0.8,
        legend="brief" if several else False,
        ax=ax,
    )
    if numeric:
        if (data["x"] >= 1).all() and data["x"].max() > 7 * data["x"].min():
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5))
    else:
        ax.margins(x=0.8 / data["x"].nunique())
    ax.set(xlabel=verdict.labels[0], ylabel=verdict.labels[1])
    if several:
        # Above: points may lie anywhere inside.
        ax.legend(
            title=None,
            fontsize=style.small,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=min(len(groups), 3),
        )


def _posterior(ax: Axes, verdict: Verdict, style: Style) -> None:
    draws = verdict.draws
    low, high = np.quantile(draws, [0.001, 0.999])
    pad = 0.25 * (high - low) or 1e-3
    # The border of the region is always in sight.
    borders = [border for border in verdict.region if np.isfinite(border)]
    left, right = min([low - pad, *borders]), max([high + pad, *borders])
    width = right - left
    ax.axvspan(
        max(verdict.region[0], left - width),
        min(verdict.region[1], right + width),
        color=roles(3)[2],
        alpha=0.15,
        lw=0,
    )
    sns.histplot(x=draws, bins=40, stat="density", color=roles(1)[0], lw=0, ax=ax)
    # Of the same area as the histogram: as much of the prior as lies here.
    counts, edges = np.histogram(verdict.found.prior, bins=24, range=(left, right))
    density = counts / (len(verdict.found.prior) * np.diff(edges))
    ax.stairs(density, edges, color=GREY, lw=0.9, ls=(0, (3, 1.5)))
    ax.set_xlim(left - 0.03 * width, right + 0.03 * width)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set(
        xlabel=names.wrapped(_sentence(verdict.quantity), 44),
        ylabel="Posterior density",
        yticks=[],
    )
    ax.set_title(f"{verdict.word}, P = {verdict.probability:.3f}", loc="right", color=GREY)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
