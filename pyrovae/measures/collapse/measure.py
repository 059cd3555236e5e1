"""Collapse measures of one run, as a table with a row for each unit and as scores."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.params import OwnParams
from pyrovae.datasets import Dataset
from pyrovae.distributions import marginals
from pyrovae.distributions.joint import Blocks
from pyrovae.measures.collapse import (
    CRITERIA,
    EPSILON,
    QUANTILES,
    Information,
    Units,
    active_by,
    agreement,
    estimate_bound,
    measure_information,
    measure_sensitivity,
    measure_units,
    weight_norms,
)
from pyrovae.measures.collapse.floors import floors
from pyrovae.measures.collapse.usage import DEAD, PERPLEXITY, measure_usage, usage_scores
from pyrovae.measures.collapse.use import Use, UseOfCode, measure_use
from pyrovae.measures.scores import COLLAPSE, INFORMATION, Score, declare
from pyrovae.models.contract import LatentModel

if TYPE_CHECKING:
    import pandas as pd

#: Criteria besides that of the variance, which is what ``active`` means.
OTHER_CRITERIA = tuple(name for name in CRITERIA if name != "variance")


#: The number of active units is no merit or fault of a model.
USED_UNITS = declare(
    Score(
        "used_units",
        "Active units",
        unit="count",
        kind="count",
        group=COLLAPSE,
        meaning=(
            "Latent units that the decoder uses: replacing one by another datum's costs more than "
            "0.1 nats and two standard errors. Where q(z|x) has dependent coordinates, directions "
            "of the code are counted."
        ),
        main=True,
    )
)
INFORMATIVE_UNITS = declare(
    Score(
        "informative_units",
        "Informative units",
        unit="count",
        kind="count",
        group=COLLAPSE,
        meaning=(
            "Latent units with which the encoder says something: less than 0.8 of their variance "
            "is noise. Where q(z|x) has dependent coordinates, directions are counted."
        ),
        main=True,
    )
)
ACTIVE_UNITS = declare(
    Score(
        "active_units",
        "Units with Var(mu) > 0.01",
        unit="count",
        kind="count",
        group=COLLAPSE,
        meaning="Latent units u with Var_x(E[z_u|x]) > 0.01 (Burda et al. 2016).",
    )
)
REGIMES = tuple(
    declare(
        Score(
            f"{regime}_regime_units",
            f"Units in the {regime} regime",
            unit="count",
            kind="count",
            group=COLLAPSE,
            meaning=(
                f"Latent units that are passive, Var(z_u|x) above 0.8 of the unit's variance over "
                f"all data, {where}."
            ),
        )
    )
    for regime, where in (
        ("active", "in at most 5 % of the data"),
        ("mixed", "in some data and not in others"),
        ("passive", "in at least 95 % of the data"),
    )
)
COLLAPSED_DATA = declare(
    Score(
        "collapsed_data",
        "Collapsed data",
        kind="proportion",
        group=COLLAPSE,
        meaning="Share of the data in which every unit is passive: the code says nothing of them.",
    )
)
EFFECTIVE_DIMENSION = declare(
    Score(
        "effective_dimension",
        "Effective dimension",
        kind="positive",
        group=COLLAPSE,
        meaning="Participation ratio of Var_x(E[z_u|x]), between 1 and the number of units.",
    )
)
VARIANCE_LAW = declare(
    Score(
        "variance_law_error",
        "Variance-law error",
        better="low",
        kind="positive",
        group=COLLAPSE,
        meaning=(
            "Median over units of |Var_x(E[z_u|x]) + E_x(Var[z_u|x]) - 1|; theory puts it at 0 for "
            "a standard normal prior only."
        ),
    )
)
#: The same, where it is a law and of units of one kind: of all, most are idle.
VARIANCE_LAW_USED, VARIANCE_LAW_IDLE = (
    declare(
        Score(
            f"variance_law_{which}",
            f"Variance law, {which}",
            better="low",
            kind="positive",
            group=COLLAPSE,
            meaning=(
                f"Median of |Var_x(E[z_u|x]) + E_x(Var[z_u|x]) - 1| over the units that {do}; "
                "under a standard normal prior, as no other has this law."
            ),
        )
    )
    for which, do in (("used", "the decoder uses"), ("idle", "it does not use"))
)
USED_LAYERS = declare(
    Score(
        "used_layers",
        "Layers in use",
        unit="count",
        group=COLLAPSE,
        meaning=(
            "Layers up to that from which on nothing is used: those with a unit that is active and "
            "informative, from z1 upwards without a gap; where the decoder reads all, up to the "
            "last such layer."
        ),
    )
)
#: All that :func:`measure_collapse` gives, besides standard errors.
SCORES = (
    USED_UNITS,
    INFORMATIVE_UNITS,
    ACTIVE_UNITS,
    declare(
        Score(
            "inactive_units",
            "Units with Var(mu) of at most 0.01",
            unit="count",
            kind="count",
            group=COLLAPSE,
            meaning="Latent units u with Var_x(E[z_u|x]) of at most 0.01.",
        )
    ),
    *(
        declare(
            Score(
                f"active_{name}",
                f"Active units, by {title}",
                unit="count",
                kind="count",
                group=COLLAPSE,
                meaning=f"Latent units of which it holds: {CRITERIA[name]}.",
            )
        )
        for name, title in (
            ("kl", "KL"),
            ("information", "information"),
            ("decoder", "the decoder's share"),
        )
    ),
    declare(
        Score(
            "above_floor_units",
            "Active units, by KL above the floor",
            unit="count",
            kind="count",
            group=COLLAPSE,
            meaning=(
                "Latent units whose KL is more than 0.01 nats above the least that the posterior's "
                "family can have under this prior."
            ),
        )
    ),
    declare(
        Score(
            "criteria_agreement",
            "Agreement of criteria",
            kind="proportion",
            group=COLLAPSE,
            meaning="Share of units on which all criteria of activity agree.",
        )
    ),
    *REGIMES,
    COLLAPSED_DATA,
    EFFECTIVE_DIMENSION,
    VARIANCE_LAW,
    PERPLEXITY,
    DEAD,
    *(
        declare(Score(key, title, unit="nats", group=INFORMATION, meaning=meaning))
        for key, title, meaning in (
            (
                "mutual_information",
                "Mutual information, lower bound",
                "I(x; z): a lower bound in expectation, which cannot exceed its ceiling.",
            ),
            ("mutual_information_upper", "Mutual information, upper bound", "I(x; z), from above."),
            (
                "mutual_information_ceiling",
                "Mutual information, ceiling",
                "Largest that the lower bound can be: log of the number of points.",
            ),
            (
                "aggregate_kl",
                "Aggregate KL, upper bound",
                "KL(q(z) || p(z)) of the aggregate posterior q(z): the rate minus the lower bound.",
            ),
            (
                "total_correlation",
                "Total correlation, upper bound",
                "KL(q(z) || prod_u q(z_u)), an upper bound in expectation.",
            ),
            (
                "total_correlation_lower",
                "Total correlation, lower bound",
                "KL(q(z) || prod_u q(z_u)), from below.",
            ),
            ("dimension_wise_kl", "Dimension-wise KL", "Sum over units of KL(q(z_u) || p(z_u))."),
        )
    ),
)

#: Points of each split that measures along training are taken on: of single units; of information,
#: whose cost is the square; of sensitivity, whose cost is points × units.
_ALONG_POINTS, ALONG_INFORMATION, _ALONG_SENSITIVITY = 500, 200, 16
#: Data in which every unit is replaced, and at most, after training and along it.
_USE_POINTS, _USE_AT_MOST = 256, 4096
_ALONG_USE, _ALONG_USE_AT_MOST = 32, 500
#: Draws for each datum of the bound along training.
_BOUND_DRAWS = 2


class CollapseSettings(BaseModel):
    """How much of the data the costlier collapse measures see."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    information_points: int = Field(
        default=1000,
        gt=1,
        description="n points whose codes' information is measured, at most log n; cost: square",
    )
    sensitivity_points: int = Field(
        default=64, gt=1, description="points whose units are replaced; cost: points × units"
    )


@dataclass(frozen=True)
class CollapseMeasures:
    """What is measured on one split.

    Attributes
    ----------
    table
        One row for each unit, in the model's order.
    scores
        One number each, by name.
    maps
        Sensitivity of each element to each unit, ``(latent_dim, *event_shape)``.
    directions
        One row for each direction of the code, by falling information, where q(z|x) has dependent
        coordinates and directions are what is counted.
    costs
        Nats that replacing each unit costs in each of the first data, ``(n, latent_dim)``; ``None``
        if unknown.
    """

    table: pd.DataFrame
    scores: dict[str, float]
    maps: Tensor
    directions: pd.DataFrame | None = None
    costs: np.ndarray | None = None


@only_measures
def measure_collapse(
    vae: LatentModel, x: Data, settings: CollapseSettings, samples: int, seed: int
) -> CollapseMeasures:
    """Take every collapse measure of a VAE on data ``(n, *event_shape)``.

    They are taken where the model and the data are; what is returned is on the CPU.
    """
    import pandas as pd

    units = measure_units(vae, x, samples=samples, seed=seed)
    use = measure_use(vae, x, units, start=_USE_POINTS, most=_USE_AT_MOST, seed=seed)
    units = _here(units)
    information = _here(measure_information(vae, x[: settings.information_points], seed=seed))
    sensitivity = _here(measure_sensitivity(vae, x[: settings.sensitivity_points], seed=seed))
    active = active_by(units, information, sensitivity)
    floor = floors(vae, x).cpu()
    above = units.kl - floor > EPSILON
    table = pd.DataFrame(
        {
            "unit": np.arange(len(units.kl)),
            **_columns(units),
            "collapsed": units.collapsed.numpy(),
            "mi": information.unit.numpy(),
            "mi_se": information.unit_se.numpy(),
            "aggregate_kl": information.unit_kl.numpy(),
            "aggregate_kl_se": information.unit_kl_se.numpy(),
            "sensitivity": sensitivity.share.numpy(),
            "sensitivity_se": sensitivity.share_se.numpy(),
            "replacement_cost": sensitivity.cost.numpy(),
            "replacement_cost_se": sensitivity.cost_se.numpy(),
            "weight_norm": weight_norms(vae).cpu().numpy(),
            "active": units.active.numpy(),
            **{f"active_{name}": active[name].numpy() for name in OTHER_CRITERIA},
            **_use_columns(use.units),
            "passive_share": units.passive_share.numpy(),
            "kl_floor": floor.numpy(),
            "above_floor": above.numpy(),
        }
    )
    if vae.blocks is not None:
        table.insert(1, "layer", [vae.blocks.names[i] for i in vae.blocks.of_units])
    usage = measure_usage(vae, x)
    if usage is not None and vae.classes is not None:
        table["classes"] = vae.classes
        table["perplexity"] = usage.perplexity.cpu().numpy()
        table["dead_labels"] = usage.dead.cpu().numpy()
    scores = {
        "above_floor_units": float(above.sum()),
        **_use_counts(use),
        **_layer_counts(vae, use.counted, units),
        "active_units": float(units.active.sum()),
        "inactive_units": float((~units.active).sum()),
        **{f"active_{name}": float(active[name].sum()) for name in OTHER_CRITERIA},
        "criteria_agreement": agreement(active),
        "effective_dimension": units.effective_dimension,
        **_regime_scores(units),
        **_information_scores(information),
    }
    if usage is None:
        scores["variance_law_error"] = float(units.variance_law.median())
    else:
        scores |= usage_scores(usage)
    costs = use.units.first.cpu().numpy()
    return CollapseMeasures(table, scores, sensitivity.maps, _directions(use), costs)


def _regime_scores(units: Units) -> dict[str, float]:
    """Return counts of regimes and the share of collapsed data, where they are known."""
    if math.isnan(units.collapsed_data):
        return {}
    counts = Counter(units.regime)
    regimes = ("active", "mixed", "passive")
    return {
        **{f"{regime}_regime_units": float(counts[regime]) for regime in regimes},
        COLLAPSED_DATA.key: units.collapsed_data,
    }


def _use_columns(use: Use) -> dict[str, np.ndarray]:
    return {
        "noise_share": use.noise_share.cpu().numpy(),
        "informative": use.informative.cpu().numpy(),
        "used": use.used.cpu().numpy(),
        "used_cost": use.cost.cpu().numpy(),
        "used_cost_se": use.cost_se.cpu().numpy(),
        "used_points": use.points.cpu().numpy(),
    }


def _use_counts(use: UseOfCode) -> dict[str, float]:
    return {
        "used_units": float(use.counted.used.sum()),
        "informative_units": float(use.counted.informative.sum()),
    }


def _layer_counts(vae: LatentModel, use: Use, units: Units) -> dict[str, float]:
    """Return counts of units by layer, and how far up anything is used; empty for a flat code."""
    if vae.blocks is None:
        return {}
    counts: dict[str, float] = {}
    for name, place in zip(vae.blocks.names, vae.blocks.slices, strict=True):
        counts[f"{USED_UNITS.key}_{name}"] = float(use.used[place].sum())
        counts[f"{INFORMATIVE_UNITS.key}_{name}"] = float(use.informative[place].sum())
        counts[f"{ACTIVE_UNITS.key}_{name}"] = float(units.active[place].sum())
    if not vae.blocks.stacked:
        return counts
    return {**counts, USED_LAYERS.key: float(_used_layers(vae, vae.blocks, use))}


def _used_layers(vae: LatentModel, blocks: Blocks, use: Use) -> int:
    """Return the number of the first layer from which on nothing is used, z1 being 0.

    Above a layer without a used unit nothing reaches the data, whatever is used there, as what is
    generated from it is a layer that nothing is made of: unless the decoder reads every layer.
    A unit counts here that is informative too: with a ladder, an upper layer that says nothing of x
    may be noise that the layers below are made of, in the guide as in the prior.
    """
    both = use.used & use.informative
    lives = [bool(both[place].any()) for place in blocks.slices]
    if vae.heeds(len(lives) - 1):
        return max((i + 1 for i, alive in enumerate(lives) if alive), default=0)
    return lives.index(False) if False in lives else len(lives)


def _directions(use: UseOfCode) -> pd.DataFrame | None:
    if use.turned is None or use.directions is None:
        return None
    import pandas as pd

    return pd.DataFrame(
        {
            "direction": np.arange(len(use.turned.cost)),
            **_use_columns(use.turned),
            # In coordinates in which the prior is standardised.
            "row": use.directions.rows.cpu().tolist(),
        }
    )


_Measures = TypeVar("_Measures", bound=Any)


def _here(measures: _Measures) -> _Measures:
    """Return measures, a dataclass of tensors and numbers, on the CPU."""
    tensors = {k: v.cpu() for k, v in vars(measures).items() if isinstance(v, Tensor)}
    return replace(measures, **tensors)


@dataclass(frozen=True)
class AlongTraining:
    """What is known of each unit at one step of training.

    Attributes
    ----------
    units
        Measures on test data.
    used_units
        How many units, or directions of the code, the decoder uses, on test data.
    columns
        One value for each column of the history: a number, or a list over the units. Those on
        training data begin with ``train_``.
    """

    units: Units
    used_units: int
    columns: dict[str, object]


def along_points(dataset: Dataset, device: torch.device | str = "cpu") -> tuple[Data, Data]:
    """Return the held-out and training data that :func:`measure_along_training` is given.

    Held out is the validation split where there is one: what decides how long a run trains must not
    have seen the test split.
    """
    points = slice(_ALONG_POINTS)
    return dataset.held_out.floats(points).to(device), dataset.train.floats(points).to(device)


@only_measures
def measure_along_training(vae: LatentModel, test: Data, train: Data, seed: int) -> AlongTraining:
    """Take the collapse measures of a VAE in training, on few data ``(n, *event_shape)``.

    They take some hundredths of the time of training. Families without marginals, of which that
    would not be true, have those of single units on test data only.
    """
    units = measure_units(vae, test, seed=seed)
    use = measure_use(vae, test, units, start=_ALONG_USE, most=_ALONG_USE_AT_MOST, seed=seed)
    units = _here(units)
    columns = _moments(units) | _use_along(use) | _bound(vae, test, seed)
    if vae.blocks is not None:
        columns |= _layer_counts(vae, use.counted, units)
    if _has_marginals(vae, test):
        on_train = _moments(_here(measure_units(vae, train, seed=seed)))
        columns |= _information(vae, test, seed)
        on_train |= _information(vae, train, seed)
        columns |= {f"train_{name}": value for name, value in on_train.items()}
    return AlongTraining(units, int(use.counted.used.sum()), columns)


def _has_marginals(vae: LatentModel, x: Data) -> bool:
    try:
        marginals(vae.prior_law(**given(x[:2])))
        with torch.no_grad():
            marginals(vae.encode(observed(x[:2]), **given(x[:2])))
    except NotImplementedError:
        return False
    return True


def _moments(units: Units) -> dict[str, object]:
    return {
        "active_units": int(units.active.sum()),
        "kl": units.kl.tolist(),
        "var_mu": units.var_mu.tolist(),
        "mean_var": units.mean_var.tolist(),
        "collapsed": units.collapsed.tolist(),
    }


def _use_along(use: UseOfCode) -> dict[str, object]:
    counted = use.counted
    return {
        "used_units": int(counted.used.sum()),
        "informative_units": int(counted.informative.sum()),
        "noise_share": counted.noise_share.tolist(),
        "used": counted.used.tolist(),
        "used_cost": counted.cost.tolist(),
        "turned": use.turned is not None,
    }


def _bound(vae: LatentModel, x: Data, seed: int) -> dict[str, object]:
    """Return the ELBO, and the rate of each layer where there are layers.

    The same data and noise at each record, so that its changes are exact.
    """
    with OwnParams():
        found = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=_BOUND_DRAWS, seed=seed)
    of_layers = found.rates if vae.blocks is not None else {}
    rates = {f"rate_{name}": float(rate.mean()) for name, rate in of_layers.items()}
    return {"elbo": float(found.elbo.mean()), **rates}


def _information(vae: LatentModel, x: Data, seed: int) -> dict[str, object]:
    information = measure_information(vae, x[:ALONG_INFORMATION], seed=seed)
    sensitivity = measure_sensitivity(vae, x[:_ALONG_SENSITIVITY], seed=seed)
    return {
        "mutual_information": information.mi,
        "mutual_information_upper": information.mi_upper,
        "mi": information.unit.tolist(),
        "sensitivity": sensitivity.share.tolist(),
    }


def _columns(units: Units) -> dict[str, np.ndarray]:
    names = ("kl", "kl_se", "var_mu", "var_mu_se", "mean_var", "mean_var_se", "kl_below")
    columns = {name: getattr(units, name).numpy() for name in names}
    quantiles = {
        f"kl_q{round(100 * q):02d}": row.numpy()
        for q, row in zip(QUANTILES, units.kl_quantiles, strict=True)
    }
    return {**columns, **quantiles}


def _information_scores(information: Information) -> dict[str, float]:
    scores = {
        "mutual_information": information.mi,
        "mutual_information_se": information.mi_se,
        "mutual_information_upper": information.mi_upper,
        "mutual_information_ceiling": information.ceiling,
        "aggregate_kl": information.aggregate_kl,
        "total_correlation": information.tc,
        "total_correlation_se": information.tc_se,
        "total_correlation_lower": information.tc_lower,
        "dimension_wise_kl": information.dimension_wise_kl,
    }
    # JSON has no NaN: what cannot be had is left out.
    return {name: value for name, value in scores.items() if np.isfinite(value)}
