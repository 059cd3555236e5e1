"""A capacity search on a study's file: train, look, decide, train again; then prune and verify."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.shrink.capacity.search import Belief, Observation, belief, next_size
from pyrovae.shrink.pruning.prune_run import NothingToPrune, Pruned, prune_run
from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.planning import Plan, make_plan
from pyrovae.study.store.folders import Store

#: Scores of the curve against latent_dim.
SCORES = ("used_units", "rate", "distortion", "elbo", "elbo_gap", "distortion_gap")


@dataclass(frozen=True)
class Capacity:
    """What a search found.

    Attributes
    ----------
    root
        The study's folder.
    runs
        One row for each training: ``run``, ``latent_dim``, ``seed``, and :data:`SCORES`.
    believed
        Posterior over the number of units that the data need.
    complete
        Whether the search ended by itself, not for want of trainings.
    pruned
        Sparse runs after pruning.
    unsettled
        Runs that have not settled.
    """

    root: Path
    runs: pd.DataFrame
    believed: Belief
    complete: bool
    pruned: tuple[Pruned, ...]
    unsettled: tuple[str, ...] = ()

    @property
    def recommended(self) -> int:
        """The latent_dim to use."""
        return max(self.believed.mode, 1)


def search_capacity(
    file: Path,
    results: Path,
    console: Console,
    *,
    profile: str = "",
    overrides: Sequence[str] = (),
    start: int = 2,
    factor: int = 4,
    seeds: int = 2,
    trainings: int = 8,
    largest: int = 512,
    workers: int = 1,
    device: str = "cpu",
    compiled: bool = True,
    unsettled: bool = False,
) -> Capacity:
    """Search the latent_dim that the data of a study need.

    A small ``start`` augments until sparsity appears, a large one shrinks. The trainings are the
    runs of a study ``<name>-capacity``: those that are there are not repeated.

    Parameters
    ----------
    file, profile, overrides
        A study whose runs differ in nothing but latent_dim and seed, which are set here.
    results
        The folder that holds all studies.
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
    observations: list[Observation] = []
    size: int | None = start
    options = RunOptions(workers=workers, device=device, compiled=compiled, quiet=True)
    while size is not None and (len(plans) + 1) * seeds <= trainings:
        plans.append(_plan(file, profile, overrides, size, seeds))
        union = _union(plans)
        outcome = run_plan(union, results, options, console=console)
        if outcome.failed:
            raise PyrovaeError(f"latent_dim {size}: {next(iter(outcome.failed.values()))}")
        store = Store(results / union.name)
        if not unsettled:
            _need_settled(store, size, [run.id for run in plans[-1].runs])
        runs = store.index()
        observations = observed(runs)
        shown = belief(observations)
        active = runs.loc[runs["latent_dim"] == size, "used_units"].astype(int).tolist()
        console.print(
            f"latent_dim {size}: {', '.join(map(str, active))} used; "
            f"P(more than needed) = {shown.sparse(size):.2f}",
            highlight=False,
        )
        size = next_size(observations, factor=factor, largest=largest)
    if not plans:
        raise ConfigError(f"{trainings} trainings are fewer than {seeds} seeds", "--trainings")
    root = results / _union(plans).name
    store = Store(root)
    runs = trainings_of(store.index())
    open_ = tuple(run for run in runs["run"] if not store.run(run).settled().yes)
    found = Capacity(root, runs, belief(observations), size is None, _prune(store, runs), open_)
    atomic.write_text(root / "capacity.json", json.dumps(_summary(found), indent=1))
    return found


def _need_settled(store: Store, size: int, runs: Sequence[str]) -> None:
    found = {run: store.run(run).settled() for run in runs}
    open_ = {run: state for run, state in found.items() if not state.yes}
    if open_:
        told = "; ".join(f"run {run}: {state.told}" for run, state in open_.items())
        raise PyrovaeError(
            f"latent_dim {size}: {len(open_)} of {len(found)} runs have not settled, so their "
            f"units cannot be counted ({told}). Train on with training.until: settled and more "
            "training.steps (--set), or conclude nevertheless with --unsettled"
        )


def observed(runs: pd.DataFrame) -> list[Observation]:
    """Return what each training, a row of a study's index, says of the number of units needed."""
    return [Observation(int(row.latent_dim), int(row.used_units)) for row in runs.itertuples()]


def trainings_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a study's index as :attr:`Capacity.runs`."""
    columns = ["run", "latent_dim", "seed", *SCORES]
    return runs[columns].sort_values(["latent_dim", "seed"], ignore_index=True)


def _plan(file: Path, profile: str, overrides: Sequence[str], size: int, seeds: int) -> Plan:
    given = [*overrides, f"latent_dim={size}", f"seeds={seeds}"]
    plan = make_plan(load_study_file(file, profile=profile, overrides=given))
    if len(plan.runs) != seeds:
        raise ConfigError(
            f"has {len(plan.runs) // seeds} cells: a search is about one, choose it with --set",
            "grid",
            str(file),
        )
    return plan


def _union(plans: Sequence[Plan]) -> Plan:
    runs = tuple(run for plan in plans for run in plan.runs)
    datasets = {key: data for plan in plans for key, data in plan.datasets.items()}
    description = f"Search for the latent_dim that {plans[0].name} needs."
    return Plan(f"{plans[0].name}-capacity", description, runs, datasets)


def _prune(store: Store, runs: pd.DataFrame) -> tuple[Pruned, ...]:
    """Prune the models of the largest size that has inactive units: shrinking without training."""
    sparse = runs[runs["used_units"] < runs["latent_dim"]]
    if sparse.empty:
        return ()
    chosen = sparse[sparse["latent_dim"] == sparse["latent_dim"].max()]
    pruned = []
    for run in chosen["run"]:
        folder = store.run(run)
        try:
            pruned.append(prune_run(folder, samples=20, points=1000, compiled=False))
        except NothingToPrune:
            continue
    return tuple(pruned)


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
        "pruned": {p.folder.id: len(p.kept) for p in found.pruned},
    }


def describe(found: Capacity) -> str:
    """Return what was found, as text."""
    low, high = found.believed.interval()
    by_size = found.runs.drop(columns=["run", "seed"]).groupby("latent_dim").mean().reset_index()
    lines = [by_size.to_string(index=False, float_format=lambda value: f"{value:.4g}"), ""]
    if found.believed.open:
        lines.append(
            f"every latent_dim up to {found.runs['latent_dim'].max()} is used in full: more than "
            "that may be needed"
        )
    else:
        lines.append(
            f"recommended latent_dim {found.recommended} (95 % interval {low} to {high}), from "
            f"{len(found.runs)} trainings"
        )
    if found.unsettled:
        lines.append(
            f"{len(found.unsettled)} of {len(found.runs)} trainings have NOT settled, and their "
            f"counts may still change: {', '.join(found.unsettled)}"
        )
    if not found.complete:
        lines.append("the search was not finished: allow more with --trainings")
    for p in found.pruned:
        lines.append(
            f"pruned {len(p.kept) + len(p.removed)} -> {len(p.kept)} units: ELBO "
            f"{p.comparison.change:+.4f} ± {p.comparison.change_se:.4f} nats, parameters "
            f"{p.parameters[1] / p.parameters[0] - 1:+.1%} (run {p.folder.id})"
        )
    return "\n".join(lines)
