"""A capacity search on a study's file: train, look, decide, train again; then prune and verify."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.core.reading import read_json
from pyrovae.shrink.capacity.found import (
    Capacity,
    intrinsic,
    largest_pruned,
    need_settled,
    observed,
    search,
    trainings_of,
)
from pyrovae.shrink.capacity.search import belief
from pyrovae.shrink.pruning.prune_run import NothingToPrune, PrunedRun, prune_run, pruned_run
from pyrovae.shrink.pruning.surgery import NothingLeft
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.planning import Plan
from pyrovae.study.store.folders import RunFolder, Store

#: What was found, beside the study's runs.
_SUMMARY = "capacity.json"


def search_capacity(
    plan: Callable[[Sequence[str]], Plan],
    results: Path,
    console: Console,
    *,
    file: str = "",
    start: int = 2,
    factor: int = 4,
    seeds: int = 2,
    trainings: int = 8,
    largest: int = 512,
    workers: int = 1,
    device: str = "cpu",
    compiled: bool | None = None,
    unsettled: bool = False,
) -> Capacity:
    """Search the latent_dim that the data of a study need.

    A small ``start`` augments until sparsity appears, a large one shrinks. The trainings are the
    runs of a study ``<name>-capacity``: those that are there are not repeated.

    Parameters
    ----------
    plan
        Plans a study whose runs differ in nothing but latent_dim and seed, which are set here:
        given overrides of its file.
    results
        The folder that holds all studies.
    file
        Where the study is written, for messages.
    console
        Where progress is shown.
    start, factor, largest
        First latent_dim, its growth, and its bound.
    seeds
        Trainings for each latent_dim.
    trainings
        At most so many in all.
    workers, device, compiled
        As for any study.
    unsettled
        Whether to conclude from runs that have not settled too.

    Raises
    ------
    ConfigError
        If the file's runs differ in more.
    PyrovaeError
        If a run fails, or has not settled: its count of units would mean nothing.
    """
    plans: list[Plan] = []
    options = RunOptions(workers=workers, device=device, compiled=compiled, quiet=True)

    def train(size: int) -> pd.DataFrame:
        plans.append(_plan(plan, size, seeds, file))
        union = _union(plans)
        outcome = run_plan(union, results, options, console=console)
        if outcome.failed:
            raise PyrovaeError(f"latent_dim {size}: {next(iter(outcome.failed.values()))}")
        store = Store(results / union.name)
        if not unsettled:
            need_settled(size, {run.id: store.run(run.id).settled() for run in plans[-1].runs})
        return store.index()

    runs, believed, complete = search(
        train,
        start=start,
        factor=factor,
        seeds=seeds,
        trainings=trainings,
        largest=largest,
        tell=lambda line: console.print(line, highlight=False),
    )
    store = Store(results / _union(plans).name)
    pruned = largest_pruned(runs, lambda run: _pruned(store.run(run)))
    open_ = tuple(run for run in runs["run"] if not store.run(run).settled().yes)
    found = Capacity(store.root, runs, believed, complete, pruned, open_, _intrinsic(store, runs))
    atomic.write_text(store.root / _SUMMARY, json.dumps(_summary(found), indent=1))
    return found


def is_search(root: Path) -> bool:
    """Return whether a folder has the results of a search."""
    return (root / _SUMMARY).exists()


def stored_capacity(root: Path) -> Capacity:
    """Return what a search found, from its study's folder.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    fields = {"complete": bool, "pruned": dict}
    summary = read_json(root / _SUMMARY, "what a search found", fields, advice="search again")
    runs = trainings_of(Store(root).index())
    sizes = runs.set_index("run")["latent_dim"]
    smaller = Store(root.with_name(f"{root.name}-pruned"))
    pruned = []
    for run in summary["pruned"]:
        folder = smaller.run(run)
        parent = folder.environment()["lineage"]["parent"]
        pruned.append(pruned_run(folder, int(sizes[parent])))
    return Capacity(
        root,
        runs,
        belief(observed(runs)),
        summary["complete"],
        tuple(pruned),
        tuple(summary.get("unsettled", ())),
        _intrinsic(Store(root), runs),
    )


def _intrinsic(store: Store, runs: pd.DataFrame) -> float | None:
    return intrinsic(runs, lambda run: store.run(run).codes())


def _plan(plan: Callable[[Sequence[str]], Plan], size: int, seeds: int, file: str) -> Plan:
    planned = plan([f"latent_dim={size}", f"seeds={seeds}"])
    if len(planned.runs) != seeds:
        raise ConfigError(
            f"has {len(planned.runs) // seeds} cells: a search is about one, choose it with --set",
            "grid",
            file,
        )
    if planned.runs[0].config.condition is not None:
        told = "a search ends by pruning, and a conditional model is not pruned"
        raise ConfigError(told, "condition", file)
    return planned


def _union(plans: Sequence[Plan]) -> Plan:
    runs = tuple(run for plan in plans for run in plan.runs)
    datasets = {key: data for plan in plans for key, data in plan.datasets.items()}
    description = f"Search for the latent_dim that {plans[0].name} needs."
    return Plan(f"{plans[0].name}-capacity", description, runs, datasets)


def _pruned(folder: RunFolder) -> PrunedRun | None:
    try:
        return prune_run(folder, samples=20, points=1000, compiled=False)
    except (NothingToPrune, NothingLeft):
        return None


def _summary(found: Capacity) -> dict[str, object]:
    low, high = found.believed.interval()
    return {
        "recommended": found.recommended,
        "interval": [low, high],
        "level": 0.95,
        "complete": found.complete,
        "open": found.believed.open,
        "trainings": len(found.runs),
        "unsettled": list(found.unsettled),
        "probability": np.round(found.believed.probability.numpy(), 6).tolist(),
        "pruned": {p.folder.id: len(p.kept) for p in found.pruned if isinstance(p, PrunedRun)},
    }
