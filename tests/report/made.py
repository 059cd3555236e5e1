"""Made studies, written through the real store: figures need results, not training."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from pyrovae.analysis.bootstrap import profiles
from pyrovae.analysis.design import make_design
from pyrovae.analysis.metrics import comparable, describe
from pyrovae.analysis.posterior import CellPosterior
from pyrovae.analysis.study import digest, table_of
from pyrovae.core.atomic import folder
from pyrovae.measures.arviz import bundle
from pyrovae.measures.evaluate import Evaluation, EvaluationSettings
from pyrovae.measures.posterior.convergence import Convergence
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.config.run import MODEL_PARTS, RunConfig
from pyrovae.study.plan.planning import Plan, PlannedRun
from pyrovae.study.store.folders import Store
from pyrovae.study.store.results import StudyResults, load_study
from pyrovae.training import Diverged, TrainingSettings
from pyrovae.training.settled import Settled

PRIORS = ("standard_normal", "laplace", "student_t", "gaussian_mixture")
POSTERIORS = ("mean_field_normal", "laplace", "full_rank_normal")
METRICS = ("mig", "dci", "factor_vae")
FACTORS = ("shape", "scale", "orientation")
_ACTIVE = {"standard_normal": 11, "laplace": 9, "student_t": 10, "gaussian_mixture": 14}
_STEPS = np.linspace(0, 3000, 13).astype(int)


def make_study(
    root: Path,
    *,
    seeds: int = 5,
    units: int = 32,
    factors: bool = True,
    event: tuple[int, ...] = (1, 32, 32),
    fail: Sequence[int] = (),
    leave_out: Sequence[int] = (),
    unsettled: Mapping[int, Settled] | None = None,
    cells: Sequence[Mapping[str, Any]] = (),
    **grid: Sequence[Any],
) -> StudyResults:
    """Write a study whose runs are the product of ``grid``'s values and the seeds; read it.

    Keys are parts of a run, or settings by their path (``training.lr``). ``cells`` says what each
    cell has instead of a grid. ``fail`` and ``leave_out`` are positions of runs that diverge, and
    of runs never made; ``unsettled`` says of others that they have not settled, or that it is not
    known.
    """
    keys = list(grid)
    chosen = cells or [dict(zip(keys, v, strict=True)) for v in itertools.product(*grid.values())]
    runs = [planned(cell, units, seed) for cell in chosen for seed in range(seeds)]
    store = Store(root)
    store.write_plan(Plan(root.name, "A made study.", tuple(runs), {}))
    for position, run in enumerate(runs):
        if position in fail:
            store.write_failure(run, Diverged(17, "the loss is not finite"), {})
        elif position not in leave_out:
            rng = np.random.default_rng([position, 7])
            history, evaluation = _results(run, rng, factors=factors, event=event)
            settled = (unsettled or {}).get(position, Settled(True))
            store.write_run(run, {"w": torch.zeros(1)}, history, evaluation, {}, settled)
    return load_study(root)


def planned(chosen: Mapping[str, Any], units: int, seed: int) -> PlannedRun:
    """Return a run of the study, with some parts or settings chosen."""
    parts: dict[str, Any] = {
        "dataset": "sprites",
        "network": "mlp",
        "prior": "standard_normal",
        "posterior": "mean_field_normal",
        "likelihood": "bernoulli",
        "objective": "elbo",
        "latent_dim": units,
        **{key: value for key, value in chosen.items() if "." not in key},
    }
    settings: dict[str, dict[str, Any]] = {"training": {"steps": 3000}, "evaluation": {}}
    for path, value in chosen.items():
        if "." in path:
            group, *inside = path.split(".")
            at = settings[group]
            for key in inside[:-1]:
                at = at.setdefault(key, {})
            at[inside[-1]] = value
    if "model" in parts:
        parts |= dict.fromkeys(MODEL_PARTS)
    for key, registry in REGISTRIES.items():
        if parts[key] is None:
            continue
        given = parts[key] if isinstance(parts[key], dict) else {"name": parts[key]}
        name = given["name"]
        options = {k: v for k, v in given.items() if k != "name"}
        parts[key] = {"name": name, **registry.resolve(name, options)}
    config = RunConfig(
        **parts,
        training=TrainingSettings(**settings["training"]),
        evaluation=EvaluationSettings(**settings["evaluation"]),
        seed=seed,
    )
    return PlannedRun(config.identity("data"), config, "data", 1000, 1e9, config.structure("data"))


def _results(
    run: PlannedRun, rng: np.random.Generator, *, factors: bool, event: tuple[int, ...]
) -> tuple[pd.DataFrame, Evaluation]:
    config = run.config
    dim = config.latent_dim
    shift = {"mean_field_normal": 0, "laplace": -1, "full_rank_normal": 2}
    prior, posterior = ((part or {}).get("name") for part in (config.prior, config.posterior))
    active = _ACTIVE.get(prior, 10) + shift.get(posterior, 0)
    active = int(np.clip(active + rng.integers(-1, 2), 1, dim))
    kl = rng.normal(0, 1.5e-3, dim)
    kl[:active] = np.linspace(3.6, 0.6, active) * rng.uniform(0.9, 1.1, active)
    kl = rng.permutation(kl)
    is_active = kl > 0.05
    units = pd.DataFrame(
        {
            "unit": np.arange(dim),
            "kl": kl,
            "var_mu": np.where(is_active, 0.95, 1e-4),
            "mean_var": np.where(is_active, 0.05, 0.99),
            "active": is_active,
            "used": is_active,
            "informative": is_active,
        }
    )
    rate = float(kl.sum())
    distortion = 95 - 1.3 * rate + float(rng.normal(0, 1.0))
    scores = {
        "elbo": -rate - distortion,
        "rate": rate,
        "distortion": distortion,
        "used_units": float(active),
        "informative_units": float(active),
        "active_units": float(active),
        "inactive_units": float(dim - active),
        "variance_law_error": float(rng.uniform(0.004, 0.02)),
    }
    if factors:
        scores |= {
            "mig": float(rng.normal(0.12, 0.02)),
            "dci": float(rng.normal(0.25, 0.03)),
            "factor_vae": float(rng.normal(0.62, 0.04)),
            "factor_vae_chance": 0.2,
        }
        scores |= {f"{name}_used_only": scores[name] for name in METRICS}
        # A share of the units is dead: a mean over codes is larger without them.
        scores["dci_used_only"] += 0.04
        scores |= {"mig_se": 0.003, "factor_vae_se": 0.01}
    progress = 1 - np.exp(-_STEPS / 700)
    loss = (rate + distortion) * (1 + 5 * np.exp(-_STEPS / 250))
    loss[0] = np.nan
    history = pd.DataFrame(
        {
            "step": _STEPS,
            "loss": loss,
            "distortion": loss - rate * progress,
            "rate": rate * progress,
            "active_units": np.round(active * progress).astype(int),
            "used_units": np.round(active * progress).astype(int),
            "kl": [(kl * p).tolist() for p in progress],
            "var_mu": [(units["var_mu"] * p).tolist() for p in progress],
            "mean_var": [units["mean_var"].tolist() for _ in progress],
        }
    )
    codes = (rng.normal(size=(40, dim)) * np.sqrt(units["var_mu"].to_numpy())).astype(np.float32)
    evaluation = Evaluation(
        scores,
        _estimators(rng, dim) if factors else {},
        units,
        _images(units, rng, event),
        _draws(rng, dim),
        codes,
        rng.integers(3, size=(40, len(FACTORS))) if factors else None,
        FACTORS if factors else (),
    )
    return history, evaluation


def _estimators(rng: np.random.Generator, dim: int) -> dict[str, Any]:
    """Return what the store keeps of MIG and DCI besides their scores."""
    shape = (dim, len(FACTORS))
    return {
        "mig": {
            "estimator": {"n_points": 40, "n_bins": 20, "binning": "uniform"},
            "parts": {
                "mutual_information": rng.gamma(0.3, 0.5, shape).clip(0, 1).tolist(),
                "factor_entropy": np.log([3, 6, 8]).tolist(),
            },
            "halves": 20,
        },
        "dci": {
            "estimator": {"n_train": 27, "n_test": 13, "learner": "random_forest"},
            "parts": {"importance": rng.dirichlet(np.full(dim, 0.1), len(FACTORS)).T.tolist()},
            "halves": 0,
        },
    }


def _draws(rng: np.random.Generator, dim: int) -> Any:
    """Return draws for two test points."""
    dims = ("chain", "draw", "datum", "latent")
    coords = {"datum": [0, 1], "latent": range(dim)}
    z = rng.normal(size=(2, 20, 2, dim))
    return bundle({"posterior": xr.Dataset({"z": (dims, z)}, coords)})


def _images(
    units: pd.DataFrame, rng: np.random.Generator, event: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    k = min(8, len(units))
    order = np.argsort(-units["kl"].to_numpy())[:k].copy()
    inputs = torch.stack([_blob(event, x, 0.5, 0.15) for x in np.linspace(0.2, 0.8, 8)])
    traversals = torch.stack(
        [
            torch.stack(
                [
                    _blob(event, 0.2 + 0.6 * s if row % 2 else 0.5, 0.5 if row % 2 else s, 0.15)
                    for s in np.linspace(0.1, 0.9, 8)
                ]
            )
            for row in range(k)
        ]
    )
    samples = torch.stack([_blob(event, *rng.uniform(0.2, 0.8, 2), 0.15) for _ in range(64)])
    return {
        "inputs": inputs,
        "reconstructions": 0.8 * inputs + 0.1,
        "traversals": traversals,
        "traversed": torch.from_numpy(order),
        "samples": samples,
    }


def _blob(event: tuple[int, ...], x: float, y: float, radius: float) -> torch.Tensor:
    """Return a soft disc, or a bump if the observations are vectors."""
    if len(event) == 1:
        return torch.exp(-(((torch.linspace(0, 1, event[0]) - x) / radius) ** 2))
    channels, height, width = event
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
    )
    disc = torch.sigmoid((radius - ((rows - y) ** 2 + (columns - x) ** 2).sqrt()) * 40)
    return disc.expand(channels, height, width).clone()


def compare_study(study: StudyResults) -> None:
    """Store a comparison whose posterior is normal around the cells' means: no sampling."""
    runs, factors = table_of(study)
    tables: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("effects", "profiles", "cells", "contrasts", "within")
    }
    entries: dict[str, dict[str, Any]] = {}
    for key in comparable(runs):
        metric = describe(key, runs[key])
        groups = runs.groupby(factors or ["cell"], sort=False)[key]
        cells = groups.mean().reset_index()[factors or ["cell"]]
        spread = float(groups.std().mean()) if len(runs) > len(cells) else 0.1
        rng = np.random.default_rng(0)
        draws = groups.mean().to_numpy() + 0.5 * spread * rng.standard_normal((500, len(cells)))
        coords = {"cell": np.arange(len(cells)), "runs": ("cell", groups.size().to_numpy())}
        posterior = CellPosterior(
            metric,
            make_design(cells, factors),
            xr.DataArray(draws, dims=("sample", "cell"), coords=coords),
            Convergence(1.0, 1000.0, 1000.0, 0.0),
            None,
        )
        tables["effects"].append(posterior.effects().assign(metric=key))
        tables["cells"].append(posterior.cells().assign(metric=key))
        tables["contrasts"].append(posterior.contrasts().assign(metric=key))
        tables["within"].append(posterior.within().assign(metric=key))
        tables["profiles"].append(profiles(runs, key, factors, rng).assign(metric=key))
        entries[key] = {
            "status": "passed",
            "reason": "",
            "better": metric.better,
            "rope": metric.equivalence,
        }
    with folder(study.store.root / "analysis") as made:
        for name, parts in tables.items():
            pd.concat(parts).to_csv(made / f"{name}.csv", index=False)
        about = {
            "factors": factors,
            "runs": len(runs),
            "digest": digest(runs, factors, entries),
            "level": 0.95,
            "sampling": {"chains": 4, "draws": 300, "warmup": 120, "seed": 0},
            "metrics": entries,
        }
        (made / "analysis.json").write_text(json.dumps(about))
