"""Factors by latent units: which unit knows what, by counting and by a learner."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyrovae.analysis.active import is_active
from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import dci, mig
from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten
from pyrovae.study.store.folders import RunFolder

#: Units in a figure: those of largest KL. More would not be legible in a column.
_UNITS = 16


@carries_mark
def factor_heatmaps(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the heat maps of each cell's first finished seed: see :func:`factor_heatmap`.

    Raises
    ------
    NothingToDraw
        If that is so of every run.
    """
    reason, drawn = None, 0
    chosen = presented.representatives
    for run, cell in zip(chosen["run"], chosen["cell"], strict=True):
        title = presented.titles[cell]
        try:
            yield factor_heatmap(
                presented.study.folder(run),
                title=title,
                name=f"factors-{names.slug(title)}",
                style=style,
            )
            drawn += 1
        except NothingToDraw as why:
            reason = why
    if reason and not drawn:
        raise reason


def factor_heatmap(
    folder: RunFolder, *, title: str = "", name: str = "factors", style: Style = PAPER
) -> Drawn:
    """Draw what each latent unit of a run knows of each factor.

    Above, the mutual information of the binned posterior mean with the factor, in units of the
    factor's entropy; below, the importance of the unit when a learner predicts the factor from all
    units (DCI), of which each factor's sum is 1. Both are taken from the stored results where MIG
    and DCI were among the study's metrics, and else computed with their defaults.

    Returns
    -------
    Drawn
        ``data`` has a row for each factor and unit: ``information`` in units of the factor's
        entropy, ``importance``, ``kl`` in nats and ``active``.

    Raises
    ------
    NothingToDraw
        If the run has no ground-truth factors, or none that can be scored.
    """
    factors = folder.factors()
    if factors is None:
        raise NothingToDraw("the data has no ground-truth factors, so no unit can know them")
    stored = folder.metrics()
    try:
        information, importance = _matrices(folder, factors, stored["estimators"])
    except ConfigError as refusal:
        raise NothingToDraw(str(refusal)) from None
    factor_names = stored.get("factor_names") or [f"factor {j}" for j in range(factors.shape[1])]
    units = folder.units().sort_values("kl", ascending=False, kind="stable")
    units = units.assign(active=is_active(units))
    shown = units.head(_UNITS)
    with theme(style):
        height = 0.17 * len(factor_names) + 0.42
        figure = Figure(figsize=(style.column, 2 * height + 0.35), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        for ax, matrix, label in (
            (above, information, "I(unit; factor) / H(factor)"),
            (below, importance, "DCI importance"),
        ):
            sns.heatmap(
                matrix[shown["unit"]].T,
                vmin=0,
                vmax=1,
                cmap="mako_r",
                ax=ax,
                cbar_kws={"pad": 0.02, "ticks": [0, 0.5, 1]},
                xticklabels=[str(unit) for unit in shown["unit"]],
                yticklabels=[figure_text(names.words(str(factor))) for factor in factor_names],
                linewidths=0.4,
            )
            ax.set_title(label, loc="left")
            ax.tick_params(length=0, labelrotation=0)
        below.set_xlabel("Latent unit, in order of decreasing KL (grey italics: inactive)")
        for tick, active in zip(below.get_xticklabels(), shown["active"], strict=True):
            tick.set_color("black" if active else GREY)
            tick.set_fontstyle("normal" if active else "italic")
        if title:
            figure.suptitle(names.wrapped(title, 44))
        tighten(figure)
    more = len(units) - len(shown)
    left_out = f" The {more} units of least KL are left out." if more else ""
    caption = (
        f"What each latent unit knows of each factor{f', {title}' if title else ''}, seed "
        f"{stored['labels']['seed']}. Above: mutual information of the posterior mean (binned) "
        "with the factor, in units of the factor's entropy. Below: how much a learner that "
        "predicts the factor relies on the unit; each factor's units sum to 1 (Eastwood and "
        f"Williams 2018). Units in order of decreasing KL; in italics: inactive.{left_out}"
    )
    data = _tidy(information, importance, [str(f) for f in factor_names], units)
    return Drawn(name, figure, data.assign(run=folder.id), caption)


def _matrices(
    folder: RunFolder, factors: NDArray[np.integer], estimators: dict
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return information in units of the factors' entropy, and importance; both (d, k)."""
    parts = estimators.get("mig", {}).get("parts") or mig(folder.codes(), factors).parts
    information = np.array(parts["mutual_information"]) / np.array(parts["factor_entropy"])
    parts = estimators.get("dci", {}).get("parts")
    if parts is None:
        parts = dci(folder.codes(), factors, 0, learner="random_forest").parts
    return information, np.array(parts["importance"])


def _tidy(
    information: NDArray[np.float64],
    importance: NDArray[np.float64],
    factor_names: list[str],
    units: pd.DataFrame,
) -> pd.DataFrame:
    by_unit = units[["unit", "kl", "active"]]
    return pd.concat(
        [
            by_unit.assign(
                factor=factor,
                information=information[by_unit["unit"], j],
                importance=importance[by_unit["unit"], j],
            )
            for j, factor in enumerate(factor_names)
        ],
        ignore_index=True,
    )
