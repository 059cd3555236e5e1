"""``pyrovae.prune`` and ``pyrovae.capacity``: which units are idle, and how many are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from pyrovae.api.building import build
from pyrovae.api.fitting import fit
from pyrovae.api.observations import measured, observations
from pyrovae.api.running import plan_study
from pyrovae.api.runs import Run, stored_run
from pyrovae.api.subjects import data_for, model_of, name_of, on_cpu
from pyrovae.core.errors import ConfigError, PyrovaeError, did_you_mean
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.splits import split_indices
from pyrovae.measures.collapse import posterior_means
from pyrovae.measures.collapse.measure import CollapseSettings, measure_collapse
from pyrovae.measures.evaluate import EvaluationSettings, measure_splits
from pyrovae.models.contract import LatentModel
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.report.run.pruning import PruningReport
from pyrovae.report.study.capacity import CapacityReport
from pyrovae.shrink.capacity.found import (
    Capacity,
    intrinsic,
    largest_pruned,
    need_settled,
    search,
)
from pyrovae.shrink.capacity.run import is_search, search_capacity, stored_capacity
from pyrovae.shrink.pruning.prune_run import (
    CONDITIONAL,
    CRITERIA,
    POINTS,
    PrunedModel,
    prune_model,
    prune_run,
)
from pyrovae.shrink.pruning.restricted import prune_view
from pyrovae.study.config.run import MODEL_PARTS, RunConfig
from pyrovae.study.execute.cores import available_cores
from pyrovae.study.plan.planning import Plan
from pyrovae.training import TrainingSettings


def prune(
    model: LatentModel | Run | str | Path,
    x: Any = None,
    *,
    train: Any = None,
    criterion: str = "used",
    deep: bool = False,
    finetune: int = 0,
    samples: int = 100,
    points: int = 2000,
    seed: int = 0,
    results: str | Path = "results",
) -> PruningReport:
    """Remove the latent units that are inactive, and tell what that costs.

    A VAE of :func:`pyrovae.build` is cut; of any other model the units that stay are looked at
    alone, the others at their means. The given model stays as it is.

    Parameters
    ----------
    model
        As for :func:`pyrovae.collapse`. Without x a stored run is pruned on its own data, with its
        own seed, and the smaller run stored in the study ``<study>-pruned``, as the command
        ``pyrovae prune`` does.
    x
        Data that the ELBO is compared on, as for :func:`pyrovae.collapse`.
    train
        Data that tell which units are inactive: what the model was trained on. By default x, or the
        training split of a data set.
    criterion
        By which units stay: ``used``, ``informative``, ``variance``, ``kl``, ``information`` or
        ``decoder``.
    deep
        Whether hidden units without influence go too.
    finetune
        Training steps that follow, of a stored run; others go on with :func:`pyrovae.fit` of
        ``report.model``.
    samples, points
        Draws for each of so many data, for the ELBO before and after.
    seed
        Of the draws; the global random state is neither read nor changed.
    results
        The folder that holds all studies, in which an id is looked for.

    Returns
    -------
    PruningReport
        ``model`` (the smaller one), ``kept``, ``removed``, ``table``, ``scores``, ``text()``.

    Raises
    ------
    ConfigError, DataError
        As :func:`pyrovae.collapse`.
    PyrovaeError
        If the model's families or network cannot be pruned, or nothing is inactive.

    Examples
    --------
    ::

        report = pyrovae.prune(vae, test, train=images)
        vae = pyrovae.fit(report.model, images, steps=500)
    """
    if criterion not in CRITERIA:
        hint = did_you_mean(str(criterion), CRITERIA)
        raise ConfigError(f"unknown criterion {criterion!r}{hint}", "criterion")
    for place, value, least in (("samples", samples, 2), ("points", points, 2),
                                ("finetune", finetune, 0), ("seed", seed, 0)):  # fmt: skip
        _whole(place, value, least)
    run = stored_run(model, results)
    if run is not None and x is None:
        if train is not None:
            raise ConfigError("is for data of your own: give x too", "train")
        if seed:
            raise ConfigError("is a stored run's own: give x for another", "seed")
        return PruningReport(
            prune_run(
                run.folder,
                criterion=criterion,
                deep=deep,
                finetune=finetune,
                samples=samples,
                points=points,
                compiled=False,
            )
        )
    if finetune:
        raise ConfigError("is for stored runs: pyrovae.fit(report.model, …) trains on", "finetune")
    vae = model_of(model, run)
    if vae.condition is not None:
        raise PyrovaeError(f"{name_of(vae, run)}: {CONDITIONAL}")
    dataset = data_for(vae, x, train)
    known = dataset.train if len(dataset.train) else dataset.test
    with on_cpu(vae):
        found = _pruned(
            vae,
            name_of(vae, run),
            known.floats(slice(POINTS)),
            dataset.test.floats(slice(points)),
            criterion=criterion,
            deep=deep,
            samples=samples,
            seed=seed,
        )
    return PruningReport(found)


def _pruned(
    vae: LatentModel,
    name: str,
    train: Tensor,
    x: Tensor,
    *,
    criterion: str,
    deep: bool,
    samples: int,
    seed: int,
) -> PrunedModel:
    def active(column: str) -> Any:
        draws = EvaluationSettings().samples
        table = measure_collapse(vae, train, CollapseSettings(), draws, seed).table
        return table[column.removeprefix("train_")]

    if isinstance(vae, VAE):
        config = _configuration(vae, seed)
        return prune_model(
            vae,
            config,
            train,
            x,
            name=name,
            criterion=criterion,
            active=active,
            deep=deep,
            samples=samples,
        )
    if deep:
        raise ConfigError(f"needs a VAE of pyrovae.build, got {name}", "deep")
    return prune_view(
        vae, train, x, name=name, criterion=criterion, active=active, samples=samples, seed=seed
    )


def _configuration(vae: VAE, seed: int) -> RunConfig:
    """Return what a model in memory is built from, as a run of the default objective."""
    for part in MODEL_PARTS:
        if part not in vae.configuration:
            raise ConfigError(
                "was given as an instance, of which no smaller one can be built: give its name, or "
                "its class",
                part,
            )
    parts: dict[str, Any] = {part: dict(vae.configuration[part]) for part in MODEL_PARTS}
    return RunConfig(
        dataset={"name": "x"},
        **parts,
        objective={"name": "elbo", **OBJECTIVES.resolve("elbo", {})},
        latent_dim=vae.latent_dim,
        training=TrainingSettings(),
        evaluation=EvaluationSettings(),
        seed=seed,
    )


def capacity(
    data: Any,
    *,
    start: int = 2,
    factor: int = 4,
    seeds: int = 2,
    trainings: int = 8,
    largest: int = 512,
    unsettled: bool = False,
    progress: bool = True,
    **options: Any,
) -> CapacityReport:
    """Search the latent_dim that data need, with few trainings.

    From a small ``start`` latent_dim grows by ``factor`` until there are inactive units; a large
    one shrinks. The sparse models of the largest size are pruned at the end.

    Parameters
    ----------
    data
        Observations as :func:`pyrovae.fit` takes them, a fifth of which is held out; or a
        :class:`pyrovae.datasets.Dataset`, whose test split is. Or a study, as
        :func:`pyrovae.run_study` takes it, whose runs differ in nothing but latent_dim and seed.
        Or the folder of a finished search, ``results/<name>-capacity``, which is opened.
    start, factor, largest
        First latent_dim, its growth, and its bound.
    seeds
        Trainings for each latent_dim.
    trainings
        At most so many in all.
    unsettled
        Whether to conclude from models that have not settled too, and say so.
    progress
        Whether to tell what each size showed.
    **options
        Of data: parts as for :func:`pyrovae.build` (``network``, ``prior``, ``posterior``,
        ``likelihood``) and ``objective``, ``steps``, ``until``, ``batch_size``, ``lr``,
        ``records``, ``precision``, ``optimizer``, ``clip_value``, ``clip_norm``, ``rates``,
        ``device``, ``compiled`` as for :func:`pyrovae.fit`. Of a study:
        ``results``, ``profile``, ``overrides``, ``workers``, ``device``, ``compiled`` as for
        :func:`pyrovae.run_study`; trainings that are stored are not repeated.

    Returns
    -------
    CapacityReport
        ``recommended``, ``interval``, ``table`` (one row for each training), ``scores``,
        ``pruned``, ``text()``, ``figures()``, ``save(folder)``.

    Raises
    ------
    ConfigError, DataError
        As :func:`pyrovae.build`, :func:`pyrovae.fit` and :func:`pyrovae.run_study`.
    PyrovaeError
        If a model has not settled: its count of units would mean nothing.

    Examples
    --------
    ::

        report = pyrovae.capacity(images, network="conv", steps=5000)
        vae = pyrovae.build((1, 28, 28), latent_dim=report.recommended, network="conv")
    """
    for place, value, least in (("start", start, 1), ("factor", factor, 2), ("seeds", seeds, 1),
                                ("trainings", trainings, 1), ("largest", largest, 1)):  # fmt: skip
        _whole(place, value, least)
    if seeds > trainings:
        raise ConfigError(f"are fewer than {seeds} seeds, got {trainings}", "trainings")
    asked = {"start": start, "factor": factor, "seeds": seeds, "trainings": trainings}
    asked["largest"] = largest
    console = Console(quiet=not progress)
    if not isinstance(data, str | Path | Mapping):
        return CapacityReport(_search_in_memory(data, asked, options, unsettled, console))
    if isinstance(data, str | Path) and is_search(Path(data)):
        _known(options, ())
        return CapacityReport(stored_capacity(Path(data)))
    return CapacityReport(_search_of_study(data, asked, options, unsettled, console))


def _search_of_study(
    study: Any, asked: dict[str, int], options: dict[str, Any], unsettled: bool, console: Console
) -> Capacity:
    _known(options, ("results", "profile", "overrides", "workers", "device", "compiled"))
    overrides = options.get("overrides", ())
    given = [overrides] if isinstance(overrides, str) else list(overrides)

    def plan(more: Sequence[str]) -> Plan:
        return plan_study(study, profile=options.get("profile", ""), overrides=[*given, *more])

    return search_capacity(
        plan,
        Path(options.get("results", "results")),
        console,
        file="",
        unsettled=unsettled,
        workers=options.get("workers") or available_cores(),
        device=options.get("device", "cpu"),
        compiled=options.get("compiled"),
        **asked,
    )


#: What a search in memory hands on to ``build`` and to ``fit``.
_TRAINING = ("objective", "steps", "until", "batch_size", "lr", "records", "precision", "optimizer",
             "clip_value", "clip_norm", "rates", "device", "compiled")  # fmt: skip


def _search_in_memory(
    data: Any, asked: dict[str, int], options: dict[str, Any], unsettled: bool, console: Console
) -> Capacity:
    _known(options, (*MODEL_PARTS, *_TRAINING))
    dataset = data if isinstance(data, Dataset) else held_out(data)
    parts = {key: options[key] for key in MODEL_PARTS if key in options}
    training = {key: options[key] for key in _TRAINING if key in options}
    settings = EvaluationSettings()
    rows: list[dict[str, Any]] = []
    models: dict[str, VAE] = {}

    def train(size: int) -> pd.DataFrame:
        for seed in range(asked["seeds"]):
            vae = build(dataset.event_shape, latent_dim=size, seed=seed, data=dataset.train.values,
                        **parts)  # fmt: skip
            vae = fit(vae, dataset, seed=seed, progress=False, **training)
            shown = measured(vae, dataset)
            first = slice(settings.points)
            found = measure_splits(
                vae,
                shown.test.floats(first),
                shown.train.floats(first),
                settings.collapse,
                samples=settings.samples,
                seed=seed,
            )
            name = f"{size} units, seed {seed}"
            assert isinstance(vae, VAE)
            models[name] = vae
            if not unsettled:
                need_settled(size, {name: vae.settled})
            rows.append({"run": name, "latent_dim": size, "seed": seed, **found.scores})
        return pd.DataFrame(rows)

    def tell(line: str) -> None:
        console.print(line, highlight=False)

    runs, believed, complete = search(train, tell=tell, **asked)
    pruned = largest_pruned(runs, lambda name: _without_idle(models[name], dataset, name))
    open_ = tuple(name for name in runs["run"] if not models[name].settled.yes)
    first = slice(settings.points)

    def codes(name: str) -> NDArray[np.floating]:
        shown = measured(models[name], dataset)
        return posterior_means(models[name], shown.test.floats(first)).cpu().numpy()

    return Capacity(None, runs, believed, complete, pruned, open_, intrinsic(runs, codes))


def held_out(x: Any) -> Dataset:
    """Return observations, a random fifth of which is held out."""
    values = observations(x, None)
    n = len(values)
    train, test = split_indices(n, n - n // 5, n // 5, 0)
    return Dataset("x", Split(values[train]), Split(values[test]))


def _without_idle(vae: VAE, dataset: Dataset, name: str) -> PrunedModel | None:
    try:
        return _pruned(
            vae,
            name,
            dataset.train.floats(slice(POINTS)),
            dataset.test.floats(slice(1000)),
            criterion="used",
            deep=False,
            samples=20,
            seed=0,
        )
    except PyrovaeError:  # nothing is idle, or all is, or the families cannot be pruned
        return None


def _known(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"unknown option{did_you_mean(key, known)}", key)


def _whole(place: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise ConfigError(f"must be a whole number of at least {least}, got {value!r}", place)
