"""Factors by latent units: which unit knows what, by counting and by a learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from pyrovae.analysis.active import is_active
from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import mig
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
    factor's entropy, by the MIG that is stored, or its default; below it the same of one draw from
    q(z|x) of each datum, where the run has them; last, the importance of the unit when a learner
    predicts the factor from all units, of which each factor's sum is 1, if DCI was among the
    study's metrics: the first one asked for. No learner is fitted for a figure.

    A mean says nothing of its scale: that of an idle unit may know a factor well, though noise
    drowns it. Idle units fade by the share of noise in their variance.

    Returns
    -------
    Drawn
        ``data`` has a row for each factor and unit: ``information`` in units of the factor's
        entropy, ``drawn_information`` of the draws and ``importance`` (NaN where the run has none),
        ``kl`` in nats, ``active`` and ``noise_share``.

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
        information = _of_means(folder, factors, stored["estimators"])
        drawn_information = _of_draws(folder, factors, stored["evaluation"]["metrics"])
    except ConfigError as refusal:
        raise NothingToDraw(str(refusal)) from None
    importance, learner = _importance(stored["estimators"])
    factor_names = stored.get("factor_names") or [f"factor {j}" for j in range(factors.shape[1])]
    units = folder.units().sort_values("kl", ascending=False, kind="stable")
    noise = units["mean_var"] / (units["mean_var"] + units["var_mu"])
    units = units.assign(active=is_active(units), noise_share=noise.fillna(1.0))
    shown = units.head(_UNITS)
    known = [(information, "I(mean of unit; factor) / H(factor)", 1.0)]
    if drawn_information is not None:
        known.append((drawn_information, "I(draw of unit; factor) / H(factor)", 1.0))
    if importance is not None:
        # Importances of many units are far below 1: their scale ends where they do.
        largest = float(importance[shown["unit"]].max()) or 1.0
        known.append((importance, "DCI importance", largest))
    with theme(style):
        height = 0.17 * len(factor_names) + 0.42
        size = (style.column, (len(known) * height + 0.35) * style.scale)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(known), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (matrix, label, top) in zip(axes, known, strict=True):
            sns.heatmap(
                matrix[shown["unit"]].T,
                vmin=0,
                vmax=top,
                cmap="mako_r",
                ax=ax,
                cbar_kws={"pad": 0.02, "ticks": [0, top / 2, top], "format": "%.2g"},
                xticklabels=[str(unit) for unit in shown["unit"]],
                yticklabels=[figure_text(names.words(str(factor))) for factor in factor_names],
                linewidths=0.4,
            )
            ax.set_title(label, loc="left")
            ax.tick_params(length=0, labelrotation=0)
            _fade(ax, shown, len(factor_names))
        below = axes[-1]
        below.set_xlabel("Latent unit, in order of decreasing KL (grey italics: idle)")
        for tick, active in zip(below.get_xticklabels(), shown["active"], strict=True):
            tick.set_color("black" if active else GREY)
            tick.set_fontstyle("normal" if active else "italic")
        if title:
            figure.suptitle(names.wrapped(title, 44))
        tighten(figure)
    more = len(units) - len(shown)
    parts = [
        f"What each latent unit knows of each factor{f', {title}' if title else ''}, seed "
        f"{stored['labels']['seed']}{': ' if len(known) == 1 else '. Above: '}mutual information "
        "of the posterior mean (binned) with the factor, in units of the factor's entropy"
    ]
    if drawn_information is not None:
        parts[0] += "; then the same of one draw from q(z|x) a datum"
    if importance is not None:
        parts.append(
            f" Below: how much a learner ({names.words(learner)}) that predicts the factor relies "
            "on the unit; each factor's units sum to 1, and the scale ends at the largest of them "
            "(Eastwood and Williams 2018)"
        )
    left_out = f" The {more} units of least KL are left out." if more else ""
    caption = (
        f"{'.'.join(parts)}. Units in order of decreasing KL; in "
        f"italics: idle, faded by the share of noise in their variance.{left_out}"
    )
    missing = np.full_like(information, np.nan)
    data = _tidy(
        {
            "information": information,
            "drawn_information": missing if drawn_information is None else drawn_information,
            "importance": missing if importance is None else importance,
        },
        [str(f) for f in factor_names],
        units,
    )
    return Drawn(name, figure, data.assign(run=folder.id), caption)


def _of_means(
    folder: RunFolder, factors: NDArray[np.integer], estimators: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Return the information of posterior means, ``(d, k)``, in units of the factors' entropy."""
    entry = _first(estimators, "mig", "mutual_information")
    parts = entry["parts"] if entry else mig(folder.codes(), factors).parts
    return np.array(parts["mutual_information"]) / np.array(parts["factor_entropy"])


def _importance(estimators: Mapping[str, Any]) -> tuple[NDArray[np.float64] | None, str]:
    """Return the importances that are stored, ``(d, k)``, and the learner that they are of."""
    entry = _first(estimators, "dci", "importance")
    if entry is None:
        return None, ""
    return np.array(entry["parts"]["importance"]), entry["estimator"]["learner"]


def _first(estimators: Mapping[str, Any], name: str, part: str) -> Mapping[str, Any] | None:
    """Return what is stored of the first metric of a name that has a part."""
    return next(
        (
            entry
            for key, entry in estimators.items()
            if key.partition("[")[0] == name and part in entry.get("parts", {})
        ),
        None,
    )


def _of_draws(
    folder: RunFolder, factors: NDArray[np.integer], metrics: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64] | None:
    """Return the information of drawn codes, ``(d, k)``, by the study's MIG or the default."""
    drawn = folder.drawn()
    if drawn is None:
        return None
    asked = next((metric for metric in metrics if metric["name"] == "mig"), {})
    parts = mig(drawn, factors, **{key: v for key, v in asked.items() if key != "name"}).parts
    return np.array(parts["mutual_information"]) / np.array(parts["factor_entropy"])


def _fade(ax: Axes, units: pd.DataFrame, factors: int) -> None:
    """Cover the columns of idle units with white, the more the more of their variance is noise."""
    for place, unit in enumerate(units.itertuples()):
        if not unit.active:
            cover = Rectangle((place, 0), 1, factors, fc="white", lw=0, alpha=unit.noise_share)
            ax.add_patch(cover)


def _tidy(
    matrices: Mapping[str, NDArray[np.float64]], factor_names: list[str], units: pd.DataFrame
) -> pd.DataFrame:
    by_unit = units[["unit", "kl", "active", "noise_share"]]
    return pd.concat(
        [
            by_unit.assign(
                factor=factor, **{key: m[by_unit["unit"], j] for key, m in matrices.items()}
            )
            for j, factor in enumerate(factor_names)
        ],
        ignore_index=True,
    )
