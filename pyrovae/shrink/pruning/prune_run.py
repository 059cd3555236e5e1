"""From a stored run to a stored smaller run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.core.digest import short_digest
from pyrovae.core.errors import PyrovaeError
from pyrovae.datasets import Dataset
from pyrovae.measures.collapse import ACTIVE_VARIANCE, posterior_means
from pyrovae.measures.collapse.measure import along_points, measure_along_training
from pyrovae.measures.collapse.theory import principal_variances
from pyrovae.measures.evaluate import evaluate
from pyrovae.measures.flops import TRAINING_FLOPS, step_flops
from pyrovae.models.contract import LatentModel
from pyrovae.models.posteriors import FullRankNormal
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.shrink.pruning.absorb import absorb_noise
from pyrovae.shrink.pruning.compare import Comparison, compare
from pyrovae.shrink.pruning.deep import prune_hidden
from pyrovae.shrink.pruning.finetune import FineTuning, fine_tune
from pyrovae.shrink.pruning.surgery import NO_LABELS, prune_units, unit_directions
from pyrovae.shrink.pruning.turn import (
    active_directions,
    prune_directions,
    turnable,
    used_directions,
)
from pyrovae.study.config.run import RunConfig
from pyrovae.study.execute.execution import environment
from pyrovae.study.plan.compiling import pays
from pyrovae.study.plan.planning import Plan, PlannedRun, vae_of
from pyrovae.study.store.folders import RunFolder, Store
from pyrovae.study.store.history import history_table
from pyrovae.study.store.trained import data_of
from pyrovae.training import LossProgram, Record

#: Training data that decide which units are inactive, and what their means are.
POINTS = 5000
#: Column of a run's units that a criterion reads.
CRITERIA = {
    "used": "train_used",
    "informative": "train_informative",
    "variance": "train_active",
    "kl": "train_active_kl",
    "information": "train_active_information",
    "decoder": "train_active_decoder",
}


#: Directions of a code that stay, by the criteria that know directions.
_TURNED: dict[str, Callable[[VAE, Tensor, int], Tensor]] = {
    "used": used_directions,
    "variance": lambda vae, x, seed: active_directions(vae, x),
}


class NothingToPrune(PyrovaeError):
    """A run of which nothing is inactive."""


@dataclass(frozen=True)
class Pruned:
    """What became of a model.

    Attributes
    ----------
    criterion
        By which units stayed.
    kept, removed
        Latent units of the model it came from; where its code was turned, directions of the code,
        by falling information.
    turned
        Whether the code was turned (:mod:`pyrovae.shrink.pruning.turn`).
    hidden
        Number of hidden units that went, by part; empty without ``deep``.
    parameters, flops
        Before and after; floating-point operations of one pass of one datum through both networks.
    comparison
        ELBO on test data right after pruning.
    """

    criterion: str
    kept: list[int]
    removed: list[int]
    turned: bool
    hidden: dict[str, int]
    parameters: tuple[int, int]
    flops: tuple[float, float]
    comparison: Comparison


@dataclass(frozen=True)
class PrunedModel(Pruned):
    """What became of a model in memory.

    Attributes
    ----------
    model
        The smaller one.
    config
        What it is built from; ``None`` for a model that is not made of this package's networks.
    directions
        Of the old code, that its units stand for, ``(k, latent_dim)``.
    """

    model: LatentModel
    config: RunConfig | None
    directions: Tensor


@dataclass(frozen=True)
class PrunedRun(Pruned):
    """What became of a stored run.

    Attributes
    ----------
    folder
        Of the smaller run.
    finetuned
        ELBO on test data after fine-tuning, ``None`` without.
    finetuning
        What fine-tuning did and whether it was kept, ``None`` without.
    """

    folder: RunFolder
    finetuned: float | None
    finetuning: FineTuning | None = None


def prune_run(
    folder: RunFolder,
    *,
    criterion: str = "used",
    deep: bool = False,
    finetune: int = 0,
    samples: int = 100,
    points: int = 2000,
    compiled: bool | None = None,
) -> PrunedRun:
    """Prune a stored run and store the result in the study ``<study>-pruned``.

    Parameters
    ----------
    folder
        Of a finished run.
    criterion
        By which units stay (:data:`CRITERIA`), on training data.
    deep
        Whether hidden units without influence go too.
    finetune
        Training steps that follow (:mod:`pyrovae.shrink.pruning.finetune`), whose outcome is kept
        where held-out data say that it is the better.
    samples, points
        Draws for each of so many test data, for the ELBO before and after.
    compiled
        Whether fine-tuning is compiled; ``None``: where it pays.

    Raises
    ------
    PyrovaeError
        If the run's family or network cannot be pruned; :class:`NothingToPrune` if nothing is
        inactive.
    """
    config = folder.config()
    if config.condition is not None:
        raise PyrovaeError(f"{folder.id}: {CONDITIONAL}")
    if config.layers is not None:
        raise PyrovaeError(f"{folder.id}: {LAYERED}")
    dataset = data_of(folder, config)
    vae = vae_of(config, dataset.event_shape)
    folder.restore(vae)
    train, x = dataset.train.floats(slice(POINTS)), dataset.test.floats(slice(points))
    found = prune_model(
        vae,
        config,
        train,
        x,
        name=folder.id,
        criterion=criterion,
        active=lambda column: _units(folder)[column],
        deep=deep,
        samples=samples,
    )
    pruned, smaller = found.model, found.config
    assert isinstance(pruned, VAE)
    assert smaller is not None
    test, some = along_points(dataset)
    nan = float("nan")
    records = [Record(0, nan, nan, nan, measure_along_training(pruned, test, some, config.seed))]
    tuned: FineTuning | None = None
    if finetune:
        if compiled is None:
            compiled = pays(finetune, smaller.training.batch_size, dataset.event_shape)
        pruned, tuned, records = fine_tune(
            pruned, smaller, dataset, finetune, points=points, samples=samples, compiled=compiled
        )
    lineage = _lineage(folder, found, finetune, tuned)
    stored = _store(folder, pruned, smaller, dataset, records, lineage)
    known = {field.name: getattr(found, field.name) for field in fields(Pruned)}
    elbo = tuned.elbo if tuned else None
    return PrunedRun(**known, folder=stored, finetuned=elbo, finetuning=tuned)


#: Why a stored run with layers is not.
LAYERED = (
    "layers are pruned as a view of the whole model, which is no run of its own: "
    "pyrovae.prune(pyrovae.load_run(…), x)"
)
#: Why a conditional model is not pruned.
CONDITIONAL = (
    "a conditional model is not pruned: what its idle units hold may depend on what it is given"
)


def prune_model(
    vae: VAE,
    config: RunConfig,
    train: Tensor,
    x: Tensor,
    *,
    name: str,
    criterion: str,
    active: Callable[[str], Iterable[bool]],
    deep: bool,
    samples: int,
) -> PrunedModel:
    """Remove what is inactive from a model, and compare.

    Parameters
    ----------
    vae, config
        The trained model, and what it is built from.
    train
        Observations ``(n, *event_shape)`` that tell what is inactive.
    x
        Observations that the ELBO is taken on, before and after.
    name
        What the model is called in messages.
    criterion, deep, samples
        As for :func:`prune_run`.
    active
        From a column of :data:`CRITERIA` to whether each unit is active; not asked where the code
        is turned.

    Raises
    ------
    PyrovaeError
        As :func:`prune_run`.
    """
    if vae.classes is not None:
        raise PyrovaeError(f"{name}: {NO_LABELS}")
    codes = posterior_means(vae, train)
    turned = criterion in _TURNED and turnable(vae)
    if turned:
        directions = _TURNED[criterion](vae, train, config.seed)
        keep = torch.arange(len(directions))
    else:
        keep = kept_units(active(CRITERIA[criterion]))
        directions = unit_directions(keep, vae.latent_dim)
    if len(keep) == vae.latent_dim and not deep:
        raise NothingToPrune(
            f"{name}: all {len(keep)} {'directions' if turned else 'units'} are active by "
            f"{criterion}: nothing to prune{'' if turned else _hidden_sparsity(vae, codes)}"
        )
    if turned:
        pruned, smaller = prune_directions(vae, config, directions, train)
    else:
        pruned, smaller = prune_units(vae, config, keep, codes.mean(0))
    absorb_noise(vae, pruned, directions, train, seed=config.seed)
    hidden: dict[str, int] = {}
    if deep:
        pruned, smaller, hidden = prune_hidden(pruned, smaller, train)
    return PrunedModel(
        criterion=criterion,
        kept=keep.tolist(),
        removed=sorted(set(range(vae.latent_dim)) - set(keep.tolist())),
        turned=turned,
        hidden=hidden,
        parameters=(parameters_of(vae), parameters_of(pruned)),
        flops=(_flops(vae, x), _flops(pruned, x)),
        comparison=compare(vae, pruned, directions, x, samples=samples, seed=config.seed),
        model=pruned,
        config=smaller,
        directions=directions,
    )


def kept_units(active: Iterable[bool]) -> Tensor:
    """Return the units that stay, ``(k,)``, given whether each is active."""
    return torch.tensor(list(active), dtype=torch.bool).nonzero().squeeze(1)


def pruned_run(folder: RunFolder, latent_dim: int) -> PrunedRun:
    """Return what was told of a run when it was pruned from one of ``latent_dim`` units.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    lineage = folder.environment()["lineage"]
    kept = [int(unit) for unit in lineage["kept_units"]]
    tuned = lineage.get("finetuning")
    return PrunedRun(
        criterion=lineage["criterion"],
        kept=kept,
        removed=sorted(set(range(latent_dim)) - set(kept)),
        turned="directions" in lineage,
        hidden=lineage["hidden_units_removed"],
        parameters=tuple(lineage["parameters"]),
        flops=tuple(lineage["flops_per_datum"]),
        comparison=Comparison(**lineage["elbo"]),
        folder=folder,
        finetuned=lineage["elbo_after_finetuning"],
        finetuning=FineTuning(**tuned) if tuned else None,
    )


def _lineage(
    folder: RunFolder, found: PrunedModel, finetune: int, tuned: FineTuning | None
) -> dict[str, Any]:
    return {
        "parent": folder.id,
        "parent_folder": str(folder.path),
        "criterion": found.criterion,
        "kept_units": found.kept,
        **({"directions": found.directions.tolist()} if found.turned else {}),
        "hidden_units_removed": found.hidden,
        "finetune_steps": finetune,
        "parameters": found.parameters,
        "flops_per_datum": found.flops,
        "elbo": asdict(found.comparison),
        "elbo_after_finetuning": tuned and tuned.elbo,
        **({"finetuning": asdict(tuned)} if tuned else {}),
    }


def _hidden_sparsity(vae: VAE, codes: Tensor) -> str:
    """Return what a turn of the code would reveal, or nothing if there is no more to be said."""
    if not isinstance(vae.posterior, FullRankNormal):
        return ""
    used = int((principal_variances(codes) > ACTIVE_VARIANCE).sum())
    return (
        f". The means of a full-rank posterior vary along {used} of {len(codes[0])} principal "
        "directions, none of which is a unit: by use or variance, and under a standard_normal "
        "prior, its code can be turned so that they are"
    )


def _units(folder: RunFolder) -> pd.DataFrame:
    units = folder.units()
    if "train_used" not in units:
        raise PyrovaeError(
            f"{folder.id}: measured before units were measured on training data; run its study "
            "again, which measures without training"
        )
    return units


def parameters_of(vae: LatentModel) -> int:
    """Return how many numbers a model is trained in."""
    return sum(p.numel() for p in vae.parameters())


def _flops(vae: VAE, x: Tensor) -> float:
    """Return the operations of encoding and decoding one datum."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = vae.encoder(x[:1])
        if not vae.posterior.needs_model:
            vae.posterior(features)
        vae.decoder(torch.zeros(1, vae.latent_dim))
    return float(counter.get_total_flops())


def _store(
    parent: RunFolder,
    vae: VAE,
    config: RunConfig,
    dataset: Dataset,
    records: list[Record],
    lineage: dict[str, Any],
) -> RunFolder:
    """Write the run into the study of pruned runs, beside that of its parent."""
    fingerprint = dataset.fingerprint
    content = {k: lineage[k] for k in _IDENTITY} | {"config": config.identity(fingerprint)}
    if "finetuning" in lineage:
        # At another rate it is another run.
        content["finetuning_rate"] = lineage["finetuning"]["rate"]
    run_id = _digest(content)
    study = parent.study
    store = Store(study.with_name(f"{study.name}-pruned"))
    run = _planned(run_id, config, fingerprint, parameters_of(vae))
    evaluation = evaluate(vae, dataset, config.evaluation, config.seed)
    cost = _training_flops(parent, vae, config, dataset, lineage["finetune_steps"])
    evaluation.scores.update(cost)
    store.write_run(
        run,
        vae.state_dict(),
        history_table(records),
        evaluation,
        {**environment(), "lineage": lineage},
        parent.settled(),
    )
    runs = [run]
    for path in sorted(Path(store.runs).glob("[!.]*/metrics.json")):
        other = RunFolder(path.parent)
        if other.id != run_id:
            size = int(other.metrics()["scores"]["parameters"])
            runs.append(_planned(other.id, other.config(), fingerprint, size))
    store.write_plan(Plan(store.root.name, f"Runs of {study.name}, pruned.", tuple(runs), {}))
    store.write_index()
    return store.run(run_id)


def _planned(run_id: str, config: RunConfig, fingerprint: str, parameters: int) -> PlannedRun:
    structure = config.structure(fingerprint)
    return PlannedRun(run_id, config, fingerprint, parameters, 0.0, structure)


def _training_flops(
    parent: RunFolder, vae: VAE, config: RunConfig, dataset: Dataset, steps: int
) -> dict[str, float]:
    """Return what training cost, fine-tuning included; nothing if that of the parent is unknown."""
    before = parent.metrics()["scores"].get(TRAINING_FLOPS.key)
    if before is None:
        return {}
    batch = dataset.train.floats(slice(config.training.batch_size))
    program = LossProgram(vae, OBJECTIVES.create(**config.objective))
    return {TRAINING_FLOPS.key: before + (step_flops(program, batch) * steps if steps else 0.0)}


#: What of its lineage makes a pruned run the run that it is.
_IDENTITY = ("parent", "criterion", "kept_units", "hidden_units_removed", "finetune_steps")


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return short_digest(text)
