"""One model under the lens: what each of its latent units does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from torch import Tensor

from pyrovae.measures.collapse import (
    CRITERIA,
    NOISE_SHARE,
    USED_ERRORS,
    USED_NATS,
    near_ceiling,
)
from pyrovae.measures.collapse.measure import ALONG_INFORMATION, CollapseMeasures
from pyrovae.measures.collapse.variance_loss import (
    DATA_VARIANCE,
    RECONSTRUCTION_ERROR,
    RECONSTRUCTION_VARIANCE,
    SAMPLE_VARIANCE,
)
from pyrovae.measures.scores import (
    COLLAPSE,
    GAP,
    INFORMATION,
    TEST,
    TRAINING,
    TRAINING_COLLAPSE,
    score_of,
)
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.formats import save
from pyrovae.report.look.notebook import as_html
from pyrovae.report.look.style import ACTIVE, GREY, IDLE, LIGHT_GREY, PAPER, Style, theme, tighten
from pyrovae.report.study.kl_profile import LINEAR_BELOW
from pyrovae.study.store.folders import RunFolder
from pyrovae.training.settled import Settled

#: Columns of the printed table that are numbers.
COLUMNS = {
    "unit": "unit",
    "kl": "KL",
    "var_mu": "Var(mu)",
    "mean_var": "E(s²)",
    "mi": "I(x;z_u)",
    "sensitivity": "share",
    "used_cost": "cost",
    "used_cost_se": "±",
}
#: Columns that are flags, and the letters of the other criteria.
_FLAGS = {"informative": "says", "used": "used"}
_LETTERS = {"active": "v", "active_kl": "k", "active_information": "i", "active_decoder": "d"}
#: Units whose perplexity is told.
_LABELS_SHOWN = 8
_MEANINGS_OF_COLUMNS = (
    "E(s²): mean of the posterior variance; share: of the reconstructions' variance that replacing "
    "the unit changes",
    "cost: nats of log p(x|z) that another datum's unit in its place costs; used: above "
    f"{USED_NATS} and above twice its error (?: the error does not decide)",
    f"says: informative, the share of noise in the unit's variance is below {NOISE_SHARE}",
)
#: Groups of scores that are told of a run's collapse.
_GROUPS = (TEST, TRAINING, GAP, COLLAPSE, TRAINING_COLLAPSE, INFORMATION)
_LABELS = {True: "active", False: "idle"}


@dataclass(frozen=True, repr=False)
class CollapseReport:
    """What each latent unit of a model does, in numbers, words and figures.

    Attributes
    ----------
    name
        Of the run, or of the kind of model.
    table
        One row for each unit, in order of decreasing KL; ``rank`` counts from 1. See
        :func:`pyrovae.measures.collapse.measure.measure_collapse`; ``train_…`` are of training
        data, where there were any.
    scores
        One number each, by name.
    ceiling
        What the lower bounds on the information cannot exceed, in nats.
    maps
        What replacing a unit changes, ``(latent_dim, *event_shape)``; ``None`` if unknown.
    history
        One row for each record along training; ``None`` if unknown.
    directions
        One row for each direction of a code that has no special axes, by falling information: what
        the counts are of.
    settled
        Whether the run had settled when its training ended; ``None`` if it is not known.
    law
        Whether the law of variance is about this model: its prior is standard normal.
    """

    name: str
    table: pd.DataFrame
    scores: dict[str, float]
    ceiling: float
    maps: Tensor | None = None
    history: pd.DataFrame | None = None
    directions: pd.DataFrame | None = None
    settled: Settled | None = None
    law: bool = False

    @classmethod
    def of_run(cls, folder: RunFolder) -> CollapseReport:
        """Return what is stored of a run.

        Raises
        ------
        NothingToDraw
            If the run was measured before these measures existed.
        """
        units, images = folder.units(), folder.images()
        if "used" not in units or "sensitivity" not in images:
            raise NothingToDraw(f"{folder.id}: measured by an older version; run its study again")
        return cls(
            folder.id,
            _ranked(units),
            _of_collapse(folder.metrics()["scores"]),
            information_ceiling(folder),
            images["sensitivity"],
            folder.history(),
            folder.directions(),
            folder.settled(),
            folder.config().has_variance_law,
        )

    @classmethod
    def of_model(
        cls,
        name: str,
        measures: CollapseMeasures,
        history: pd.DataFrame | None,
        settled: Settled | None = None,
        *,
        law: bool = False,
    ) -> CollapseReport:
        """Return what was measured on a model in memory."""
        table, scores = _ranked(measures.table), _of_collapse(measures.scores)
        ceiling = scores.get("mutual_information_ceiling", math.inf)
        return cls(
            name,
            table,
            scores,
            ceiling,
            measures.maps,
            history,
            measures.directions,
            settled,
            law,
        )

    def text(self) -> str:
        """Return the table, with the totals and what the columns mean."""
        shown = self._shown().to_string(index=False)
        meanings = [
            f"{letter}: {CRITERIA[name]}"
            for letter, name in zip(_LETTERS.values(), CRITERIA, strict=True)
        ]
        return "\n".join(
            [shown, "", *self._totals(), "", *_MEANINGS_OF_COLUMNS, "others:", *meanings]
        )

    def drawn(self, *, style: Style = PAPER) -> list[Drawn]:
        """Return the figures with their data and captions, but those that have nothing to show."""
        found = []
        for draw in FIGURES:
            with suppress(NothingToDraw):
                found.append(draw(self, style=style))
        return found

    def figures(self) -> dict[str, Figure]:
        """Return Matplotlib figures by name, to change and save."""
        return {drawn.name: drawn.figure for drawn in self.drawn()}

    def save(self, folder: str | Path) -> list[Path]:
        """Write each figure as PDF and PNG, with its data and caption; return the PNGs."""
        return save(self.drawn(), folder)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"collapse of {self.name}", self._shown(), self._totals())

    def _shown(self) -> pd.DataFrame:
        table = self.table
        shown = pd.DataFrame({COLUMNS["unit"]: table["unit"]})
        if "layer" in table:
            shown["layer"] = table["layer"]
        for key, title in list(COLUMNS.items())[1:]:
            shown[title] = table[key].map(_number)
        open_ = (table["used_cost"] - USED_NATS).abs() <= USED_ERRORS * table["used_cost_se"]
        for key, title in _FLAGS.items():
            shown[title] = np.where(table[key], "yes", ".")
        shown["used"] = shown["used"] + np.where(open_, "?", "")
        shown["others"] = [
            "".join(letter if row[key] else "." for key, letter in _LETTERS.items())
            for row in table.to_dict("records")
        ]
        return shown

    def _totals(self) -> list[str]:
        scores = self.scores
        totals = [
            *self._counts(),
            f"rate {scores['rate']:.2f} = I(x;z) {scores['mutual_information']:.2f} to "
            f"{scores['mutual_information_upper']:.2f} + KL(q(z)||p(z)); distortion "
            f"{scores['distortion']:.2f}; ELBO {scores['elbo']:.2f} ± {scores['elbo_se']:.2f} nats",
        ]
        if "elbo_gap" in scores:
            totals.append(
                f"train-test gap of the ELBO {scores['elbo_gap']:+.2f} nats, of the rate "
                f"{scores['rate_gap']:+.2f}, of the distortion {scores['distortion_gap']:+.2f}"
            )
        if SAMPLE_VARIANCE.key in scores:
            shown = [
                f"{scores[score.key]:.4g}"
                for score in (
                    DATA_VARIANCE,
                    RECONSTRUCTION_VARIANCE,
                    SAMPLE_VARIANCE,
                    RECONSTRUCTION_ERROR,
                )
            ]
            totals.append(
                "variance of data {}, of reconstructions {}, of samples {}; mean squared error "
                "{}".format(*shown)
            )
        told = [] if self.settled is None else [self.settled.told]
        return [*totals, *told, *_at_ceiling(self.table, scores, self.ceiling)]

    def _counts(self) -> list[str]:
        """Say how many units count, by which criterion, of what, and on which data."""
        scores, n = self.scores, len(self.table)
        what = "units" if self.directions is None else "directions of the code"
        lines = [
            f"{scores['used_units']:.0f} of {n} {what} used, "
            f"{scores['informative_units']:.0f} informative, on test data"
        ]
        if "train_used_units" in scores:
            lines[0] += (
                f" ({scores['train_used_units']:.0f} and {scores['train_informative_units']:.0f} "
                "on training data)"
            )
        lines += self._layers()
        if self.directions is not None:
            lines.append(
                "no axis of this code is special, as q(z|x) has dependent coordinates: taken one "
                f"by one, {self.table['used'].sum()} units are used and "
                f"{self.table['informative'].sum()} informative"
            )
        lines.append(
            f"other criteria: {scores['active_units']:.0f} by Var(mu), "
            f"{scores['active_kl']:.0f} by KL, {scores['active_information']:.0f} by information, "
            f"{scores['active_decoder']:.0f} by the decoder's share; effective dimension "
            f"{scores['effective_dimension']:.1f}"
        )
        floor = float(self.table["kl_floor"].max())
        if floor > 0:
            lines.append(
                f"no unit can have a KL below {_number(floor)} nats, as the posterior's family "
                f"does not hold the prior: {scores['above_floor_units']:.0f} units are above that"
            )
        if "perplexity" in self.table:
            lines.append(_labels_told(self.table))
        return lines

    def _layers(self) -> list[str]:
        """Say what each layer does, and from where on nothing is used; empty for a flat code."""
        if "layer" not in self.table:
            return []
        scores, lines, names = self.scores, [], sorted(set(self.table["layer"]), key=_height)
        for name in names:
            of = int((self.table["layer"] == name).sum())
            lines.append(
                f"{name}: {scores[f'used_units_{name}']:.0f} of {of} units used, "
                f"{scores[f'informative_units_{name}']:.0f} informative, "
                f"rate {scores[f'rate_{name}']:.2f} nats"
            )
        living = int(scores["used_layers"])
        if living < len(names):
            lines.append(f"from {names[living]} on nothing is used")
        floors = self.table.groupby("layer")["kl_floor"].max()
        drawn = [name for name in names if math.isnan(floors[name])]
        if drawn:
            lines.append(
                f"{', '.join(drawn)}: the guide draws upwards, against the model, so that these "
                "KLs are terms of the rate, which may be negative, and have no floor"
            )
        return lines


def _height(layer: str) -> int:
    return int(layer[1:])


def _labels_told(table: pd.DataFrame) -> str:
    """Return which labels are used, of units that have some."""
    units = table[table["classes"] > 0]
    each = ", ".join(
        f"{row.unit}: {row.perplexity:.1f} of {row.classes}"
        for row in units.head(_LABELS_SHOWN).itertuples()
    )
    more = ", …" if len(units) > _LABELS_SHOWN else ""
    return (
        f"labels: perplexity of each unit ({each}{more}); {units['dead_labels'].sum():.0f} of "
        f"{units['classes'].sum()} are dead, no datum's most probable one"
    )


def _number(value: float) -> str:
    """Return a number in at most seven places: what is smaller than their last is told as that.

    >>> [_number(value) for value in (0.0185, 9.494e-05, -3e-5, 0.0, 12.3456, float("nan"))]
    ['0.018', '<.001', '<.001', '0', '12.3', '–']
    """
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return "<.001"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _of_collapse(scores: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in scores.items() if score_of(key).group in _GROUPS}


def _ranked(units: pd.DataFrame) -> pd.DataFrame:
    units = units.sort_values("kl", ascending=False, kind="stable").reset_index(drop=True)
    return units.assign(rank=np.arange(1, len(units) + 1), sum=units["var_mu"] + units["mean_var"])


def information_ceiling(folder: RunFolder) -> float:
    """Return what the lower bounds on a run's information cannot exceed, in nats: log n points.

    Runs of an older version do not store it: of them it is that of the settings, which for families
    without marginals is too high.
    """
    metrics = folder.metrics()
    if "mutual_information_ceiling" in metrics["scores"]:
        return metrics["scores"]["mutual_information_ceiling"]
    asked = metrics["evaluation"]["collapse"]["information_points"]
    return math.log(min(asked, len(folder.codes())))


def _at_ceiling(table: pd.DataFrame, scores: Mapping[str, float], ceiling: float) -> list[str]:
    """Say which information is as large as an estimate from so few points can be."""
    units = [
        str(row.unit)
        for row in table.sort_values("unit").itertuples()
        if near_ceiling(row.mi, ceiling)
    ]
    told = []
    if near_ceiling(scores["mutual_information"], ceiling):
        told.append("I(x;z)")
    if units:
        told.append(f"I(x;z_u) of unit{'s' * (len(units) > 1)} {', '.join(units)}")
    if not told:
        return []
    return [
        f"the lower end of {' and '.join(told)} is at its ceiling: from {math.exp(ceiling):.0f} "
        f"points it cannot exceed their log, {ceiling:.2f} nats, however much the code tells; "
        "KL(q(z)||p(z)) and the total correlation are upper bounds, too high by as much. More "
        "points: evaluation.collapse.information_points"
    ]


def profile(report: CollapseReport, *, style: Style = PAPER) -> Drawn:
    """Draw the KL of each unit by rank, with the middle 90 % over data, and its information."""
    data = report.table
    with theme(style):
        figure = Figure(figsize=(style.column, 2.2), layout="constrained")
        ax = figure.subplots()
        colours = [_colour(active) for active in data["used"]]
        ax.vlines(data["rank"], data["kl_q05"], data["kl_q95"], color=colours, lw=1.5, alpha=0.45)
        for active, look in zip(_LABELS, _MARKS, strict=True):
            part = data[data["used"] == active]
            ax.plot(part["rank"], part["kl"], **look, ms=3.5, zorder=3)
        ax.scatter(data["rank"], data["mi"], marker="_", c=GREY, s=24, zorder=4)
        _scale(ax, data["kl_q95"], LINEAR_BELOW)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        ax.set(xlabel="Latent unit, in order of decreasing KL", ylabel="Nats")
        _legend(figure, data, extra=[("I(x; z$_u$)", {"ls": "", "marker": "_", "color": GREY})])
        tighten(figure)
    caption = (
        "KL(q(z_u|x) || p(z_u)) of each latent unit on the test set: mean (dot) and the range of "
        "the middle 90 % of the data (bar); mutual information I(x; z_u) (dash; "
        f"at most log n = {report.ceiling:.2f} from n points). {_FILLED} Logarithmic above "
        f"{LINEAR_BELOW} nats."
    )
    columns = ["unit", "rank", "kl", "kl_se", "kl_q05", "kl_q50", "kl_q95", "mi", "used"]
    return Drawn("kl-profile", figure, data[columns], caption)


def variance_law(report: CollapseReport, *, style: Style = PAPER) -> Drawn:
    """Draw E(sigma²) against Var(mu), with the line on which they add up to 1 where that is a law.

    It is one under a standard normal prior only.
    """
    data = report.table
    with theme(style):
        figure = Figure(figsize=(style.column, 2.6), layout="constrained")
        ax = figure.subplots()
        largest = max(1.0, float(data[["var_mu", "mean_var"]].max(axis=None)))
        if report.law:
            ax.plot([0, 1], [1, 0], color=LIGHT_GREY, lw=1, zorder=0)
            ax.annotate("sum = 1", (0.55, 0.47), color=GREY, fontsize=style.small)
        for active, part in data.groupby("used"):
            ax.errorbar(
                part["var_mu"],
                part["mean_var"],
                xerr=part["var_mu_se"],
                yerr=part["mean_var_se"],
                fmt="o",
                ms=3.5,
                mfc=_colour(bool(active)) if active else "none",
                color=_colour(bool(active)),
                elinewidth=0.6,
            )
        ax.set(
            xlabel=r"$\mathrm{Var}_x(\mu_u)$",
            ylabel=r"$\mathrm{E}_x(\sigma_u^2)$",
            xlim=(-0.03 * largest, 1.05 * largest),
            ylim=(-0.03 * largest, 1.05 * largest),
            box_aspect=1,
        )
        _legend(figure, data)
        tighten(figure)
    caption = (
        "Variance of the posterior mean and mean posterior variance, one point a latent unit, test "
        f"set; bars: standard errors over the data. {_FILLED} "
        + (
            "Grey line: variance law, Var_x(mu_u) + E_x(sigma_u²) = 1 at the optimum under a "
            "standard normal prior (Asperti & Trentin 2020)."
            if report.law
            else "The law of variance is about a standard normal prior, and not drawn."
        )
    )
    columns = ["unit", "var_mu", "var_mu_se", "mean_var", "mean_var_se", "sum", "used"]
    return Drawn("variance-law", figure, data[columns], caption)


def evolution(report: CollapseReport, *, style: Style = PAPER) -> Drawn:
    """Draw each unit's moments, KL, information and sensitivity along training."""
    units, history = report.table.set_index("unit"), report.history
    if history is None or history.empty:
        raise NothingToDraw(f"{report.name}: nothing was recorded along training")
    quantities = {name: label for name, label in _QUANTITIES.items() if name in history}
    # What a replaced unit costs is told of units where these, and no directions, are judged: then
    # it decides, and the share, which sixteen points tell roughly, is left out.
    costs = "used_cost" in history and not history.get("turned", pd.Series([True])).any()
    quantities.pop("sensitivity" if costs else "used_cost", None)
    long = history[["step", *quantities]].explode(list(quantities), ignore_index=True)
    long = long.astype(dict.fromkeys(quantities, float))
    long.insert(1, "unit", long.groupby("step").cumcount())
    long["used"] = long["unit"].map(units["used"])
    with theme(style):
        figure = Figure(figsize=(style.column, 1.2 * len(quantities)), layout="constrained")
        axes = figure.subplots(len(quantities), 1, sharex=True)
        for ax, (quantity, label) in zip(axes, quantities.items(), strict=True):
            for unit, part in long.groupby("unit"):
                ax.plot(part["step"], part[quantity], **_line(bool(units["used"][unit])))
            if quantity in units:
                for active, part in units.groupby("used"):
                    # Along training few data are measured on: here is what the table says.
                    ends = np.full(len(part), long["step"].max())
                    shade = _colour(bool(active))
                    fill = shade if active else "none"
                    ax.scatter(
                        ends,
                        part[quantity],
                        s=8,
                        lw=0.6,
                        fc=fill,
                        ec=shade,
                        zorder=3,
                        clip_on=False,
                    )
            ax.set_ylabel(label)
            known = units.get(quantity, pd.Series(dtype=float))
            _scale(ax, pd.concat([long[quantity], known]), _LINEAR_BELOW[quantity])
        axes[-1].set_xlabel("Training steps")
        axes[-1].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        marks = [{k: v for k, v in look.items() if k != "ls"} | {"ms": 3} for look in _MARKS]
        _legend(figure, units, [_line(a) | mark for a, mark in zip(_LABELS, marks, strict=True)])
        figure.align_ylabels()
        tighten(figure)
    caption = (
        "Each latent unit along training, on test data: "
        f"{', '.join(_MEANINGS[name] for name in quantities)}. Linear below "
        f"{', '.join(f'{_LINEAR_BELOW[name]:g}' for name in quantities)}, logarithmic above. "
        "Lines: estimates along training, from few data. Points at the end: those of the table, "
        "from more data and of the model that was kept. Solid and filled: active units at the end, "
        f"whose replacement costs more than {USED_NATS} nats and twice its standard error; dashed "
        "and hollow: idle ones."
    )
    return Drawn("unit-evolution", figure, long, caption)


_QUANTITIES = {
    "var_mu": r"$\mathrm{Var}_x(\mu_u)$",
    "mean_var": r"$\mathrm{E}_x(\sigma_u^2)$",
    "kl": "KL (nats)",
    "mi": r"I(x; z$_u$) (nats)",
    "used_cost": "Cost (nats)",
    "sensitivity": "Sensitivity\n(share)",
}
#: Where an axis turns from linear to logarithmic, below what estimates of an idle unit scatter by:
#: units of some nats and idle ones are seen side by side.
_LINEAR_BELOW = {
    "var_mu": 1e-3,
    "mean_var": 1e-2,
    "kl": LINEAR_BELOW,
    "mi": LINEAR_BELOW,
    "used_cost": USED_NATS,
    "sensitivity": 1e-3,
}
_MEANINGS = {
    "var_mu": "variance of its posterior mean",
    "mean_var": "mean of its posterior variance",
    "kl": "KL from the prior",
    "mi": (
        f"mutual information with the data ({ALONG_INFORMATION} points: at most "
        f"{math.log(ALONG_INFORMATION):.2f} nats)"
    ),
    "used_cost": "what replacing it costs in E[log p(x|z)]",
    "sensitivity": "share of the reconstructions' variance that replacing it changes (16 points)",
}


def sensitivity(report: CollapseReport, *, style: Style = PAPER) -> Drawn:
    """Draw for each unit what changes in reconstructions when it is replaced by a prior draw.

    Images give a picture for each unit; other observations one row for each unit.
    """
    data = report.table
    if report.maps is None:
        raise NothingToDraw(f"{report.name}: what replacing a unit changes is not known")
    maps = report.maps.numpy()[data["unit"].to_numpy()]
    top = float(maps.max()) or 1.0
    with theme(style):
        if maps.ndim == 4:
            figure = _tiles(data, maps.mean(1), top, style)
        else:
            figure = Figure(figsize=(style.column, 0.4 + 0.13 * len(maps)), layout="constrained")
            ax = figure.subplots()
            sns.heatmap(
                maps.reshape(len(maps), -1),
                cmap="rocket",
                vmin=0,
                vmax=top,
                yticklabels=[f"{unit}" for unit in data["unit"]],
                cbar_kws={"label": "Change (RMS)"},
                ax=ax,
            )
            ax.set(
                xlabel="Element of an observation", ylabel="Latent unit, in order of decreasing KL"
            )
        tighten(figure)
    caption = (
        "Decoder sensitivity: root mean squared change of E[x|z] when one unit of a test datum's "
        "code is replaced by a draw from the prior, in order of decreasing KL; one scale for all. "
        "Share: half the mean squared change over the variance of the reconstructions. Grey: idle "
        "units."
    )
    columns = ["unit", "rank", "sensitivity", "sensitivity_se", "replacement_cost", "used"]
    return Drawn("sensitivity", figure, data[columns], caption)


def _tiles(data: pd.DataFrame, maps: np.ndarray, top: float, style: Style) -> Figure:
    across = min(8, len(maps))
    down = -(-len(maps) // across)
    size = style.text / 8
    figure = Figure(figsize=(across * size + 0.5, down * (size + 0.22)), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    picture = None
    for ax, unit, active, share, tile in zip(
        axes, data["unit"], data["used"], data["sensitivity"], maps, strict=False
    ):
        picture = ax.imshow(tile, cmap="rocket", vmin=0, vmax=top)
        ax.set_title(
            f"{unit}: {share:.1%}", fontsize=style.small, color="black" if active else GREY
        )
    assert picture is not None
    figure.colorbar(picture, ax=list(axes), shrink=0.8, label="Change of E[x|z] (RMS)")
    return figure


def _colour(active: bool) -> Any:
    """Return the shade of a kind of unit: colours stand for priors, in all figures."""
    return ACTIVE if active else IDLE


_FILLED = "Filled: active units; hollow: idle ones."
#: How the points of active and of idle units are drawn.
_MARKS: tuple[dict[str, Any], ...] = (
    {"ls": "", "marker": "o", "color": _colour(True)},
    {"ls": "", "marker": "o", "color": _colour(False), "mfc": "none"},
)


def _line(active: bool) -> dict[str, Any]:
    """Return how a unit's curve is drawn."""
    dashes = "-" if active else (0, (2, 1))
    return {"color": _colour(active), "lw": 0.7, "alpha": 0.8, "ls": dashes}


def _scale(ax: Axes, values: pd.Series, linear_below: float) -> None:
    """Scale an axis so that large values and those around zero can both be told apart."""
    ax.set_yscale("symlog", linthresh=linear_below, linscale=0.5)
    top = max(linear_below, float(values.max()))  # The former if no value is known.
    first, last = round(math.log10(linear_below)), math.ceil(math.log10(top))
    decades = range(first, last + 1, max(1, (last - first) // 3))
    ax.yaxis.set_major_locator(FixedLocator([0.0, *(10.0**k for k in decades)]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _legend(
    figure: Figure,
    data: pd.DataFrame,
    looks: Sequence[dict[str, Any]] | None = None,
    *,
    extra: Sequence[tuple[str, dict[str, Any]]] = (),
) -> None:
    """Put a legend above the panels, where it hides nothing; ``looks``: of active, of idle ones."""
    counts = data["used"].value_counts()
    entries = [
        (f"{name} ({counts.get(active, 0)})", look)
        for (active, name), look in zip(_LABELS.items(), looks or _MARKS, strict=True)
    ]
    handles = [Line2D([], [], label=name, **look) for name, look in [*entries, *extra]]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


#: Figures of a model's collapse.
FIGURES: tuple[Callable[..., Drawn], ...] = (profile, variance_law, evolution, sensitivity)
