"""Running a plan: what is missing is executed, what is there is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from pyrovae.errors import PyrovaeError
from pyrovae.study import atomic
from pyrovae.study.live import Publisher
from pyrovae.study.loggers import logger
from pyrovae.study.observers import Dispensable, Together
from pyrovae.study.plan import Plan, PlannedRun, varying
from pyrovae.study.progress import Display, display
from pyrovae.study.store import Store
from pyrovae.study.workers import LocalPool


@dataclass
class Outcome:
    """What became of a plan's runs.

    Attributes
    ----------
    kept
        How many were finished before.
    done
        How many were finished now.
    failed
        Run id to reason: diverged (now or before) or crashed (now; tried again next time).
    """

    kept: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run_plan(
    plan: Plan,
    results: Path,
    console: Console,
    *,
    workers: int,
    compiled: bool = True,
    force: bool = False,
    quiet: bool = False,
    log: Sequence[str] = (),
) -> Outcome:
    """Execute what is missing of a plan and rebuild the study's index.

    Parameters
    ----------
    plan
        Its runs are executed in the plan's order, as far as compiled steps allow.
    results
        The folder that holds all studies.
    console
        Where progress is shown.
    workers
        Number of processes.
    compiled
        Whether training steps are compiled.
    force
        Train finished and failed runs again too. Each old result stays until the new one is there.
    quiet
        Show failures only.
    log
        Loggers that are told too: keys of :data:`pyrovae.study.loggers.LOGGERS`.

    Raises
    ------
    PyrovaeError
        If another process is running this study.
    """
    store = Store(results / plan.name)
    store.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(store.root / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise PyrovaeError(f"{store.root}: another process is running this study") from None
    with lock:
        atomic.remove_leftovers(store.root)
        atomic.remove_leftovers(store.runs)
        store.write_plan(plan)
        outcome = Outcome()
        todo = _todo(plan, store, outcome, force=force)
        if todo:
            names = describe(plan)
            observers = [
                display(len(todo), console, names, quiet=quiet),
                Publisher(store.root, len(todo), names),
                *(Dispensable(logger(kind, store, names), kind, console) for kind in log),
            ]
            _execute(todo, plan, store, Together(observers), outcome, workers, compiled)
        store.write_index()
    return outcome


def _todo(plan: Plan, store: Store, outcome: Outcome, *, force: bool) -> list[PlannedRun]:
    todo = []
    for run in plan.runs:
        status = store.status(run)
        if force or status in ("missing", "outdated"):
            todo.append(run)
        elif status == "failed":
            failure = store.run(run.id).failure() or {}
            outcome.failed[run.id] = f"diverged at step {failure['step']}: {failure['cause']}"
        else:
            outcome.kept += 1
    return todo


def _execute(
    todo: list[PlannedRun],
    plan: Plan,
    store: Store,
    observer: Display,
    outcome: Outcome,
    workers: int,
    compiled: bool,
) -> None:
    pool = LocalPool(store, plan.datasets, workers=workers, compiled=compiled)
    events = pool.run(todo)
    try:
        with observer:
            for event in events:
                observer.show(event)
                if event.kind == "done":
                    outcome.done += 1
                elif event.kind in ("diverged", "crashed"):
                    outcome.failed[event.run.id] = event.reason
    finally:
        events.close()  # type: ignore[attr-defined]


def describe(plan: Plan) -> dict[str, str]:
    """Return a short description of each run by id: what varies in the study, and the seed."""
    keys = varying(plan.runs)
    described = {}
    for run in plan.runs:
        labels = run.labels()
        words = [
            f"{key}={labels[key]}" if key == "latent_dim" else str(labels[key]) for key in keys
        ]
        described[run.id] = " · ".join([*words, f"seed {labels['seed']}"])
    return described
