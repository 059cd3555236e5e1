"""From a study's runs to the verdict on each claim."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from pyrovae.analysis.active import count_of
from pyrovae.analysis.phase_diagram import NoTheory, beside_theory
from pyrovae.claims import exact, models
from pyrovae.claims.verdict import Undecidable, Verdict, decide, fit
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.collapse.bounds import ELBO
from pyrovae.measures.collapse.measure import ACTIVE_UNITS, USED_UNITS
from pyrovae.measures.scores import score_of
from pyrovae.shrink.pruning.stage import pruned_runs
from pyrovae.study.store.results import StudyResults

#: Latent units are used in full if more than this share is used.
_FULL = 0.9
#: A change of the distortion by this share is nothing.
_NEGLIGIBLE_LOSS = 0.005


def sparsity(study: StudyResults) -> Verdict:
    """Active units saturate: from the second largest to the largest size they grow by less than
    the square root of the factor that latent_dim grows by."""
    runs = _elbo_runs(study)
    sizes, level = _levels(runs["latent_dim"])
    _need(len(sizes) >= 2, "two values of latent_dim")
    _need_used(runs)
    fitted = fit(
        models.shares(level, _tensor(runs["latent_dim"]), _tensor(runs["used_units"]), len(sizes))
    )
    active = fitted["share"] * torch.tensor(sizes)
    growth = (active[..., -1] / active[..., -2]).log() / math.log(sizes[-1] / sizes[-2])
    return decide(
        growth,
        (-math.inf, 0.5),
        quantity="growth exponent of used units at the largest number of latent units",
        evidence=_evidence(runs, "latent_dim", "used_units"),
        labels=("Latent units (count)", USED_UNITS.axis_label),
        divergent=fitted.divergent,
    )


def inactive_units(study: StudyResults) -> Verdict:
    """Pruning changes the distortion by less than half a per cent, in the mean over runs."""
    runs = study.runs.merge(_pruned(study), on="run")
    runs = runs[runs["pruned"] != ""]
    _need(not runs.empty, "a run with an unused unit")
    evidence = pd.DataFrame(
        {
            "x": [
                f"{study.label(run, 'network').phrase()}, {study.label(run, 'posterior').phrase()}"
                for run in runs["run"]
            ],
            # Relative, so that data sets and likelihoods can stand together; in per cent.
            "y": 100 * runs["distortion_change"] / runs["distortion"],
            "error": 100 * runs["distortion_change_se"] / runs["distortion"],
            "group": "runs",
            "distortion": runs["distortion"],
            "distortion_change": runs["distortion_change"],
            "rate_change": runs["rate_change"],
        }
    )
    share, error = _tensor(evidence["y"]) / 100, _tensor(evidence["error"]) / 100
    return decide(
        exact.common_mean(share, error, _NEGLIGIBLE_LOSS),
        (-_NEGLIGIBLE_LOSS, _NEGLIGIBLE_LOSS),
        quantity="relative change of the distortion by pruning",
        evidence=evidence,
        labels=("Network and posterior", "Change of the distortion (%)"),
        divergent=None,
    )


def variance_law(study: StudyResults) -> Verdict:
    """Var(mu) + E(sigma²) is within 0.1 of 1 on used and on unused units."""
    chosen = _elbo_runs(study)["run"]
    units = study.units()
    units = units[units["run"].isin(chosen) & (units["prior"] == "standard_normal")]
    _need_used(study.runs)
    _need(units["used"].nunique() == 2, "used and unused units under a standard normal prior")
    off = units["var_mu"] + units["mean_var"] - 1
    fitted = fit(models.offsets(_tensor(units["used"], whole=True), _tensor(off), 2, 0.1))
    offset = fitted["offset"]
    largest = offset.gather(-1, offset.abs().argmax(-1, keepdim=True)).squeeze(-1)
    evidence = pd.DataFrame(
        {
            "x": units["var_mu"],
            "y": units["mean_var"],
            "group": units["used"].map({True: "used", False: "unused"}),
        }
    )
    return decide(
        largest,
        (-0.1, 0.1),
        quantity="offset of the sum from 1, of used or unused units, whichever is larger",
        evidence=evidence,
        labels=(r"$\mathrm{Var}_x(\mu_u)$", r"$\mathrm{E}_x(\sigma_u^2)$"),
        divergent=fitted.divergent,
    )


def self_regularisation(study: StudyResults) -> Verdict:
    """The train-test gap of the distortion grows less with latent_dim than the autoencoder's."""
    runs = study.runs[study.runs["objective"].isin(["elbo", "autoencoder"])]
    _need(runs["objective"].nunique() == 2, "runs with objectives 'elbo' and 'autoencoder'")
    level = torch.tensor((runs["objective"] == "autoencoder").to_numpy(dtype=int))
    doublings, gap = _tensor(runs["latent_dim"]).log2(), _tensor(runs["distortion_gap"])
    scale = float(gap.std())
    x = doublings - doublings.mean()
    fitted = fit(models.lines(level, x, (gap - gap.mean()) / scale, 2))
    difference = (fitted["slope"][..., 0] - fitted["slope"][..., 1]) * scale
    return decide(
        difference,
        (-math.inf, 0.0),
        quantity="gap's growth for each doubling of latent units, VAE minus autoencoder (nats)",
        evidence=_evidence(runs, "latent_dim", "distortion_gap", "objective"),
        labels=("Latent units (count)", score_of("distortion_gap").axis_label),
        divergent=fitted.divergent,
    )


def disentanglement(study: StudyResults) -> Verdict:
    """Over capacities and betas, models with more unused units disentangle better."""
    runs = study.runs
    metrics = [name for name in ("mig", "dci", "factor_vae") if name in runs]
    _need(bool(metrics), "disentanglement scores")
    _need_used(runs)
    sparsity = 1 - runs["used_units"] / runs["latent_dim"]
    _need(sparsity.nunique() > 1, "runs of different sparsity")
    x = _standard(_tensor(sparsity))
    values = torch.stack([_standard(_tensor(runs[name])) for name in metrics])
    evidence = pd.concat(
        [
            pd.DataFrame({"x": sparsity, "y": runs[name], "group": score_of(name).title})
            for name in metrics
        ]
    )
    return decide(
        exact.common_slope(x, values),
        (0.0, math.inf),
        quantity="standardised slope of the scores on the share of unused units",
        evidence=evidence,
        labels=("Share of unused units", "Score"),
        divergent=None,
    )


def capacity(study: StudyResults) -> Verdict:
    """A model trained large and pruned is within one per cent of the best ELBO of any size."""
    runs = _elbo_runs(study)
    large = runs[runs["latent_dim"] == runs["latent_dim"].max()]
    _need_used(runs)
    _need(
        (large["used_units"] < large["latent_dim"]).all(), "unused units at the largest latent_dim"
    )
    change = _pruned(study).set_index("run")["change"].loc[large["run"]].to_numpy()
    after = large["elbo"] + change
    sizes, level = _levels(runs["latent_dim"])
    value = torch.cat([_tensor(runs["elbo"]), _tensor(after)])
    level = torch.cat([level, torch.full((len(after),), len(sizes))])
    centre, scale = value.mean(), value.std()
    fitted = fit(models.means(level, (value - centre) / scale, len(sizes) + 1))
    mean = fitted["mean"] * scale + centre
    loss = mean[..., :-1].amax(-1) - mean[..., -1]
    evidence = pd.concat(
        [
            _evidence(runs, "latent_dim", "elbo").assign(group="as trained"),
            pd.DataFrame({"x": large["used_units"], "y": after, "group": "large, then pruned"}),
        ]
    )
    return decide(
        loss,
        (-math.inf, 0.01 * abs(float(runs["elbo"].max()))),
        quantity="ELBO of the best size minus that of the pruned models (nats)",
        evidence=evidence,
        labels=("Latent units (count)", ELBO.axis_label),
        divergent=fitted.divergent,
    )


def networks(study: StudyResults) -> Verdict:
    """A dense network uses a smaller share of its latent units than a convolutional one."""
    runs = study.runs.assign(kind=[study.label(r, "network").name for r in study.runs["run"]])
    runs = runs[runs["kind"].isin(["mlp", "conv"])]
    _need(runs["kind"].nunique() == 2, "runs with networks 'mlp' and 'conv'")
    _need_used(runs)
    level = torch.tensor((runs["kind"] == "conv").to_numpy(dtype=int))
    fitted = fit(models.shares(level, _tensor(runs["latent_dim"]), _tensor(runs["used_units"]), 2))
    return decide(
        fitted["share"][..., 0] - fitted["share"][..., 1],
        (-math.inf, 0.0),
        quantity="share of used units, dense minus convolutional",
        evidence=_evidence(runs, "kind", "used_units", "kind"),
        labels=("Network", USED_UNITS.axis_label),
        divergent=fitted.divergent,
    )


def generation(study: StudyResults) -> Verdict:
    """The sparser a model, the less its random samples vary."""
    runs = _elbo_runs(study)
    _need_used(runs)
    spread = [_variability(study.folder(run).images()["samples"]) for run in runs["run"]]
    runs = runs.assign(
        variability=spread, sparsity=1 - runs["used_units"] / runs["latent_dim"], all="samples"
    )
    _need(runs["sparsity"].nunique() > 1, "runs of different sparsity")
    x, value = _standard(_tensor(runs["sparsity"])), _standard(_tensor(runs["variability"]).log())
    level = torch.zeros(len(runs), dtype=torch.long)
    fitted = fit(models.lines(level, x, value, 1))
    return decide(
        fitted["slope"][..., 0],
        (-math.inf, 0.0),
        quantity="standardised slope of log variability on the share of unused units",
        evidence=_evidence(runs, "sparsity", "variability"),
        labels=("Share of unused units", "Variance of samples, mean over elements"),
        divergent=fitted.divergent,
    )


def theory(study: StudyResults) -> Verdict:
    """Linear VAEs have the active units that theory says, at nine of ten settings and more."""
    try:
        table = beside_theory(study).drop_duplicates("run")
    except NoTheory as reason:
        raise Undecidable(f"{study.name}: {reason}") from None
    right = (table["active_units"] == table["active_units_theory"]).to_numpy()
    return decide(
        exact.share(int(right.sum()), int((~right).sum())),
        (0.9, 1.0),
        quantity="share of runs whose number of active units is that of theory",
        evidence=pd.concat(
            [
                pd.DataFrame({"x": table["level"], "y": table[column], "group": group})
                for column, group in (
                    ("active_units", "trained"),
                    ("active_units_theory", "theory"),
                )
            ],
            ignore_index=True,
        ),
        labels=("β × σ²", ACTIVE_UNITS.axis_label),
        divergent=None,
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


def _pruned(study: StudyResults) -> pd.DataFrame:
    try:
        return pruned_runs(study)
    except PyrovaeError as reason:
        raise Undecidable(str(reason)) from None


def _levels(column: pd.Series) -> tuple[list[int], Tensor]:
    sizes = sorted(int(value) for value in column.unique())
    return sizes, torch.tensor([sizes.index(int(value)) for value in column])


def _tensor(values: pd.Series | Sequence[float], *, whole: bool = False) -> Tensor:
    return torch.tensor(list(values), dtype=torch.long if whole else torch.float64)


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp(min=1e-12)


def _variability(samples: Tensor) -> float:
    return float(samples.var(0).mean())


def _evidence(runs: pd.DataFrame, x: str, y: str, group: str | None = None) -> pd.DataFrame:
    groups = runs[group] if group else "runs"
    return pd.DataFrame({"x": runs[x], "y": runs[y], "group": groups})
