"""From a study's runs to the verdict on each claim.

The first paragraph of a judge's docstring is what is decided, and is shown to people. The page
"What the claims are judged by" has the formulas, the gates and what would count against each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pyrovae.analysis.active import count_of, first_of
from pyrovae.analysis.phase_diagram import NoTheory, beside_theory
from pyrovae.claims import exact, models
from pyrovae.claims.exact import Found, Stratum
from pyrovae.claims.verdict import NoLaw, Undecidable, Verdict
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.collapse.bounds import ELBO
from pyrovae.measures.collapse.measure import ACTIVE_UNITS, USED_UNITS
from pyrovae.measures.collapse.variance_loss import (
    DATA_VARIANCE,
    RECONSTRUCTION_ERROR,
    SAMPLE_VARIANCE,
)
from pyrovae.measures.scores import score_of
from pyrovae.shrink.pruning.retrained import retrained_runs
from pyrovae.shrink.pruning.stage import pruned_runs
from pyrovae.study.store.results import StudyResults

#: A doubling of the latent space adds less than 10 % of used units: d log A / d log d.
SATURATED = math.log2(1.1)
#: A change of the ELBO or the distortion by this share is nothing.
NEGLIGIBLE = 0.005
#: The variance law is off by no more than this.
LAW = 0.1
#: A pruned model may lose this share of the ELBO of one that was trained at its size.
LOSS = 0.01
#: Networks by kind, those of the package.
DENSE = ("mlp", "gated_mlp")
CONVOLUTIONAL = ("conv", "burgess_conv", "residual_conv")
#: Objectives that train a VAE by its ELBO, whatever the weight of its rate.
_BOUNDS = ("elbo", "beta")
#: Metrics of disentanglement that are asked.
_METRICS = ("mig", "dci", "factor_vae")


def sparsity(study: StudyResults) -> Verdict:
    """Used units saturate: at the largest latent space, its doubling adds less than 10 % of them,
    so that they have an asymptote below its size."""
    runs = _elbo_runs(study)
    sizes = runs["latent_dim"].nunique()
    _need(sizes >= 3, f"three values of latent_dim (it has {sizes})")
    _need_used(runs)
    _need((runs["used_units"] > 0).any(), "a run that uses a unit")
    _need(_of_one_kind(study, runs, but=("latent_dim",)), "runs that differ in latent_dim alone")
    found, level = models.saturation(_tensor(runs["latent_dim"]), _tensor(runs["used_units"]))
    return Verdict(
        "elasticity of used units at the largest latent space",
        found,
        (-math.inf, SATURATED),
        _evidence(runs, "latent_dim", "used_units"),
        ("Latent units (count)", USED_UNITS.axis_label),
        {"used units at the largest latent space": level},
    )


def inactive_units(study: StudyResults) -> Verdict:
    """Pruning changes neither the ELBO nor the distortion by half a per cent, in the mean over
    runs, each of which is compared with itself."""
    runs = study.runs.merge(_pruned(study), on="run")
    # Nothing presses an autoencoder to leave units idle.
    runs = runs[(runs["pruned"] != "") & (runs["objective"] != "autoencoder")]
    _need(not runs.empty, "a run with an unused unit")
    # Relative, so that data sets and likelihoods can stand together.
    of = {"ELBO": ("change", "elbo"), "distortion": ("distortion_change", "distortion")}
    shares = {
        name: (runs[change] / runs[whole].abs(), runs[f"{change}_se"] / runs[whole].abs())
        for name, (change, whole) in of.items()
    }
    found = {
        name: exact.common_mean(_tensor(share), _tensor(error), NEGLIGIBLE)
        for name, (share, error) in shares.items()
    }
    kind = [
        f"{study.label(run, 'network').phrase()}, {study.label(run, 'posterior').phrase()}"
        for run in runs["run"]
    ]
    evidence = [
        pd.DataFrame({"x": kind, "y": 100 * share, "error": 100 * error, "group": name})
        for name, (share, error) in shares.items()
    ]
    return Verdict(
        "relative change by pruning, of the ELBO or the distortion, whichever is larger",
        exact.farther(found["ELBO"], found["distortion"]),
        (-NEGLIGIBLE, NEGLIGIBLE),
        pd.concat(evidence, ignore_index=True),
        ("Network and posterior", "Change by pruning (%)"),
        {f"relative change of the {name}": each for name, each in found.items()},
    )


def variance_law(study: StudyResults) -> Verdict:
    """Under a standard normal prior, Var(mu) + E(sigma²) is within 0.1 of 1 in the mean over runs,
    on used units and on unused ones."""
    runs = _elbo_runs(study)
    lawful = [run for run in runs["run"] if study.configs[run].has_variance_law]
    if not lawful:
        raise NoLaw("the variance law is of a standard normal prior only")
    _need_used(study.runs)
    units = study.units()
    units = units[units["run"].isin(lawful)]
    _need(units["used"].nunique() == 2, "used and unused units under a standard normal prior")
    units = units.assign(
        off=units["var_mu"] + units["mean_var"] - 1,
        group=units["used"].map({True: "used", False: "unused"}),
    )
    found = {name: _offset(part) for name, part in units.groupby("group", sort=False)}
    return Verdict(
        "offset of the sum from 1, of used or unused units, whichever is larger",
        exact.farther(found["used"], found["unused"]),
        (-LAW, LAW),
        units[["var_mu", "mean_var", "group"]].set_axis(["x", "y", "group"], axis=1),
        (r"$\mathrm{Var}_x(\mu_u)$", r"$\mathrm{E}_x(\sigma_u^2)$"),
        {f"offset of {name} units": found[name] for name in ("used", "unused")},
    )


def _offset(units: pd.DataFrame) -> Found:
    """Return the mean over runs of the offset of units of one kind."""
    by_run = units.groupby("run")["off"]
    count = by_run.size()
    residual = units["off"] - by_run.transform("mean")
    freedom = len(units) - len(count)
    spread = math.sqrt(float((residual**2).sum()) / freedom) if freedom else 0.0
    return exact.common_mean(_tensor(by_run.mean()), spread / _tensor(count).sqrt(), LAW)


def self_regularisation(study: StudyResults) -> Verdict:
    """The train-test gap of the distortion, as a share of the distortion, is smaller than that of
    the autoencoder of the same network, size and seed, in the mean over sizes."""
    runs = study.runs
    kinds = {"elbo", "autoencoder"} & set(runs["objective"])
    _need(len(kinds) == 2, "runs with objectives 'elbo' and 'autoencoder'")
    _need_scores(runs, "distortion", "distortion_gap")
    runs = runs.assign(
        relative=runs["distortion_gap"] / runs["distortion"],
        stratum=_strata(study, runs, but=("objective",)),
    )
    _need((runs["distortion"] > 0).all(), "a positive distortion: a share of it means nothing else")
    apart = {
        kind: runs[runs["objective"] == kind].set_index(["stratum", "seed"])["relative"]
        for kind in ("elbo", "autoencoder")
    }
    paired = (apart["elbo"] - apart["autoencoder"]).dropna()
    _need(len(paired) > 0, "a VAE and an autoencoder of the same size and seed")
    strata = [Stratum.of_mean(part) for _, part in paired.groupby(level="stratum")]
    size = runs.groupby("stratum")["latent_dim"].first()
    doublings = _tensor(np.log2(size.loc[paired.index.get_level_values("stratum")]))
    beside = {}
    if doublings.max() > doublings.min() and len(paired) > 2:
        y = _tensor(paired)
        slope = exact.partial_slope(_standard(doublings)[:, None], _standard(y), lost=1)
        unit = float(y.std() / doublings.std())
        beside["growth of the difference with each doubling"] = slope.scaled(unit)
    shown = runs.assign(relative=100 * runs["relative"])
    return Verdict(
        "relative gap, VAE minus autoencoder",
        exact.mean_of_strata(strata, scale=0.1, noise=0.02),
        (-math.inf, 0.0),
        _evidence(shown, "latent_dim", "relative", "objective"),
        ("Latent units (count)", "Gap of the distortion (%)"),
        beside,
    )


def disentanglement(study: StudyResults) -> Verdict:
    """Within each weight of the KL, over capacities and seeds, models with more unused units
    disentangle better."""
    runs = study.runs
    metrics = [name for name in _METRICS if name in runs and runs[name].notna().all()]
    _need(bool(metrics), "disentanglement scores")
    # Of the active units alone: idle units' means may agree with factors or not, whatever they
    # contribute, and there are more of them where a code is sparse.
    metrics = [first_of(runs, score_of(name)).key for name in metrics]
    _need_used(runs)
    sparse = 1 - runs["used_units"] / runs["latent_dim"]
    stratum = _strata(study, runs, but=("latent_dim",))
    x, lost = _within(sparse, stratum), stratum.nunique()
    _need(float(x.abs().max()) > 1e-9, "runs of different sparsity within a weight of the KL")
    _need(len(runs) - lost >= 3, "three runs more than weights of the KL")
    values = torch.stack([_standard(_within(runs[name], stratum)) for name in metrics])
    evidence = [
        pd.DataFrame({"x": x + float(sparse.mean()), "y": values[i], "group": score_of(name).title})
        for i, name in enumerate(metrics)
    ]
    return Verdict(
        "standardised slope of the scores on the share of unused units, within each objective",
        exact.common_slope(_standard(x), values, lost=lost),
        (0.0, math.inf),
        pd.concat(evidence, ignore_index=True),
        ("Share of unused units, within objectives", "Score, within objectives (sd)"),
    )


def capacity(study: StudyResults) -> Verdict:
    """A model trained large and pruned loses less than one per cent of the ELBO of one that was
    trained at the size that is left, of the same seed."""
    runs = _elbo_runs(study)
    _need_used(runs)
    change = _pruned(study).set_index("run")
    large = runs[runs["latent_dim"] == runs["latent_dim"].max()]
    large = large[[change.loc[run, "pruned"] != "" for run in large["run"]]]
    _need(not large.empty, "unused units at the largest latent_dim")
    try:
        again = retrained_runs(study, large["run"]).set_index("run")
    except PyrovaeError as reason:
        raise Undecidable(str(reason)) from None
    after = large.set_index("run")["elbo"] + change["change"].loc[large["run"]]
    trained = again["elbo"].loc[large["run"]]
    loss = (trained - after) / trained.abs()
    stratum = _strata(study, large)
    strata = [Stratum.of_mean(part) for _, part in loss.groupby(stratum.to_numpy())]
    sizes = again["latent_dim"].loc[large["run"]]
    return Verdict(
        "share of the ELBO that is lost by pruning, against training at that size",
        exact.mean_of_strata(strata, scale=0.05, noise=0.005),
        (-math.inf, LOSS),
        pd.concat(
            [
                _evidence(runs, "latent_dim", "elbo").assign(group="as trained"),
                pd.DataFrame({"x": sizes, "y": after, "group": "large, then pruned"}),
                pd.DataFrame({"x": sizes, "y": trained, "group": "trained at that size"}),
            ],
            ignore_index=True,
        ),
        ("Latent units (count)", ELBO.axis_label),
    )


def networks(study: StudyResults) -> Verdict:
    """A dense network uses fewer of its latent units than a convolutional one, all else alike."""
    kinds = {**dict.fromkeys(DENSE, "dense"), **dict.fromkeys(CONVOLUTIONAL, "convolutional")}
    runs = study.runs.assign(
        kind=[kinds.get(str(study.label(r, "network").name), "") for r in study.runs["run"]]
    )
    runs = runs[runs["kind"] != ""]
    _need(runs["kind"].nunique() == 2, "runs with dense and with convolutional networks")
    _need_used(runs)
    strata = []
    for _, part in runs.groupby(_strata(study, runs, but=("network",))):
        used = {kind: each["used_units"].tolist() for kind, each in part.groupby("kind")}
        if len(used) == 2:
            strata.append(Stratum.of_difference(used["dense"], used["convolutional"]))
    _need(bool(strata), "a dense and a convolutional network that are alike in all else")
    return Verdict(
        "used units, dense minus convolutional",
        exact.mean_of_strata(strata, scale=5.0, noise=0.8),
        (-math.inf, 0.0),
        _evidence(runs, "kind", "used_units", "kind"),
        ("Network", USED_UNITS.axis_label),
    )


def generation(study: StudyResults) -> Verdict:
    """At a fixed size and at the same mean squared error of reconstructions, sparser models lose
    more of the data's variance in what they generate."""
    runs = study.runs
    runs = runs[
        runs["objective"].isin([o for o in runs["objective"] if o.split("(")[0] in _BOUNDS])
    ]
    _need(not runs.empty, "runs with objective 'elbo' or 'beta'")
    _need_used(runs)
    _need_scores(runs, *(s.key for s in (DATA_VARIANCE, SAMPLE_VARIANCE, RECONSTRUCTION_ERROR)))
    whole = runs[DATA_VARIANCE.key]
    _need((whole > 0).all(), "data that vary")
    loss, error = 1 - runs[SAMPLE_VARIANCE.key] / whole, runs[RECONSTRUCTION_ERROR.key] / whole
    sparse = 1 - runs["used_units"] / runs["latent_dim"]
    stratum = _strata(study, runs, but=("objective",))
    lost = stratum.nunique()
    _need(len(runs) - lost >= 4, "four runs more than sizes")
    x = torch.stack([_within(sparse, stratum), _within(error, stratum)], -1)
    _need(float(x[:, 0].abs().max()) > 1e-9, "runs of different sparsity at one latent_dim")
    y = _standard(_within(loss, stratum))
    x = torch.stack([_standard(column) for column in x.T], -1)
    ratio = loss / error
    return Verdict(
        "standardised slope of the variance loss on the share of unused units, at equal error",
        exact.partial_slope(x, y, lost=lost),
        (0.0, math.inf),
        pd.concat(
            [
                pd.DataFrame({"x": sparse, "y": 100 * loss, "group": "variance loss of samples"}),
                pd.DataFrame({"x": sparse, "y": 100 * error, "group": "mean squared error"}),
            ],
            ignore_index=True,
        ),
        ("Share of unused units", "Share of the data's variance (%)"),
        {
            "the same slope whatever the error": exact.partial_slope(x[:, :1], y, lost=lost),
            "variance loss over mean squared error": exact.mean_of_strata(
                [Stratum.of_mean(part) for _, part in ratio.groupby(stratum)], scale=2.0, noise=0.1
            ),
        },
    )


def theory(study: StudyResults) -> Verdict:
    """Linear VAEs have the active units that theory says, at nine of ten settings and more."""
    try:
        table = beside_theory(study).drop_duplicates("run")
    except NoTheory as reason:
        raise Undecidable(f"{study.name}: {reason}") from None
    right = (table["active_units"] == table["active_units_theory"]).to_numpy()
    columns = (("active_units", "trained"), ("active_units_theory", "theory"))
    return Verdict(
        "share of runs whose number of active units is that of theory",
        exact.share(int(right.sum()), int((~right).sum())),
        (0.9, 1.0),
        pd.concat(
            [
                pd.DataFrame({"x": table["level"], "y": table[column], "group": group})
                for column, group in columns
            ],
            ignore_index=True,
        ),
        ("β × σ²", ACTIVE_UNITS.axis_label),
    )


def _elbo_runs(study: StudyResults) -> pd.DataFrame:
    runs = study.runs[study.runs["objective"] == "elbo"]
    _need(not runs.empty, "runs with objective 'elbo'")
    return runs


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise Undecidable(f"needs {what}")


def _need_used(runs: pd.DataFrame) -> None:
    """Refuse runs that version 0.1.0 measured: another criterion would judge another claim."""
    _need(
        count_of(runs) is USED_UNITS,
        "the number of used units, which an older version did not measure; running the study again "
        "does, without training",
    )


def _need_scores(runs: pd.DataFrame, *keys: str) -> None:
    absent = [key for key in keys if key not in runs or runs[key].isna().any()]
    _need(
        not absent,
        f"{', '.join(score_of(key).title for key in absent)} of every run; if an older version "
        "measured them, running the study again does, without training",
    )


def _pruned(study: StudyResults) -> pd.DataFrame:
    try:
        return pruned_runs(study)
    except PyrovaeError as reason:
        raise Undecidable(str(reason)) from None


def _strata(study: StudyResults, runs: pd.DataFrame, *, but: Collection[str] = ()) -> pd.Series:
    """Return what runs have in common, seed and some labels apart: the same text, the same kind."""
    labels = [label for label in study.labels if label not in but and label in runs]
    text = ["; ".join(f"{k}={row[k]}" for k in labels) for row in runs.to_dict("records")]
    return pd.Series(text, index=runs.index)


def _of_one_kind(study: StudyResults, runs: pd.DataFrame, *, but: Collection[str]) -> bool:
    return _strata(study, runs, but=but).nunique() == 1


def _within(values: pd.Series, stratum: pd.Series) -> Tensor:
    """Return values less the mean of their stratum."""
    return _tensor(values - values.groupby(stratum).transform("mean"))


def _tensor(values: pd.Series | Sequence[float]) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=float))


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp(min=1e-12)


def _evidence(runs: pd.DataFrame, x: str, y: str, group: str | None = None) -> pd.DataFrame:
    groups = runs[group] if group else "runs"
    return pd.DataFrame({"x": runs[x], "y": runs[y], "group": groups})
