"""Running a plan: what is missing is executed, what is there is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, PyrovaeError, did_you_mean, diverged
from pyrovae.study.config.told import failure, told
from pyrovae.study.execute.execution import CHECKPOINT_SECONDS
from pyrovae.study.execute.executors import Executor
from pyrovae.study.execute.hardware import devices, ensemble_size
from pyrovae.study.execute.inline import InlineExecutor
from pyrovae.study.execute.workers import LocalExecutor
from pyrovae.study.plan.batches import batches
from pyrovae.study.plan.compiling import Compiled, verdicts
from pyrovae.study.plan.planning import Plan, PlannedRun, labels_of
from pyrovae.study.store.folders import Store
from pyrovae.study.store.lock import locked
from pyrovae.study.watch.events import Tell
from pyrovae.study.watch.live import Publisher
from pyrovae.study.watch.loggers import logger
from pyrovae.study.watch.observers import Dispensable, Together, Told
from pyrovae.study.watch.progress import Display, display


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
        Run id to reason, with what the run was: diverged (now or before) or crashed (now; tried
        again next time).
    left
        How many are still to be done because the study was stopped.
    signal
        What stopped it; ``None`` if the time was up, or if nothing did.
    damaged
        Run id to what was wrong with its folder and where that is now; it was trained again.
    """

    kept: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left: int = 0
    signal: int | None = None
    damaged: dict[str, str] = field(default_factory=dict)


#: Where a study may be executed.
EXECUTORS = ("inline", "local", "ray")


@dataclass(frozen=True)
class RunOptions:
    """How a plan is executed; none of it is part of a run's identity.

    Attributes
    ----------
    executor, address
        ``inline`` (this process), ``local`` (processes of this machine), or ``ray`` and the
        address of its cluster.
    workers
        Number of processes; one a core, or one a GPU, by default. ``inline`` has none.
    compiled
        Whether training steps are compiled; ``None``: those for which it pays, as the plan says.
    device
        ``cpu`` or ``cuda``.
    ensemble
        How many runs of one program train together; what suits the device by default.
    max_hours
        After this time the study ends early.
    checkpoint_seconds
        Time between checkpoints of a run: what a crash costs at most.
    force
        Train finished and failed runs again too. Each old result stays until the new one is there.
    quiet
        Show failures only.
    log
        Loggers that are told too: keys of :data:`pyrovae.study.watch.loggers.LOGGERS`.
    """

    executor: str = "local"
    address: str | None = None
    workers: int | None = None
    compiled: bool | None = None
    device: str = "cpu"
    ensemble: int | None = None
    max_hours: float | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    force: bool = False
    quiet: bool = False
    log: Sequence[str] = ()


def run_plan(
    plan: Plan,
    results: Path,
    options: RunOptions = RunOptions(),
    *,
    console: Console | None = None,
    tell: Tell | None = None,
) -> Outcome:
    """Execute what is missing of a plan and rebuild the study's index.

    SIGINT and SIGTERM end it early: runs in training leave a checkpoint first.

    Parameters
    ----------
    plan
        Its runs are executed in the plan's order, as far as compiled steps allow.
    results
        The folder that holds all studies.
    options
        How.
    console
        Where progress is shown; nowhere by default.
    tell
        Is told every event as it happens.

    Raises
    ------
    PyrovaeError
        If another process is running this study, or results cannot be written.
    """
    store = Store(results / plan.name)
    try:
        with locked(store.root):
            for folder in (store.root, store.runs, store.root / "checkpoints"):
                atomic.remove_leftovers(folder)
            store.write_plan(plan)
            outcome = Outcome()
            names = describe(plan)
            todo = _todo(plan, store, outcome, names, force=options.force)
            if todo:
                executor = _executor(store, plan, options)
                for task in batches(todo, ensemble_size(todo, options.device, options.ensemble)):
                    executor.submit(task)
                observer = _observer(store, names, todo, options, console, tell)
                _follow(executor, observer, outcome, names, options.max_hours)
                outcome.left = (
                    len(todo) - outcome.done - len({run.id for run in todo} & outcome.failed.keys())
                )
            store.write_index()
    except OSError as failure:
        raise PyrovaeError(f"{store.root}: {failure.strerror or failure}") from None
    return outcome


def _observer(
    store: Store,
    names: dict[str, str],
    todo: Sequence[PlannedRun],
    options: RunOptions,
    console: Console | None,
    tell: Tell | None,
) -> Display:
    observers: list[Display] = [Publisher(store.root, len(todo), names)]
    if console is not None:
        observers.insert(0, display(len(todo), console, names, quiet=options.quiet))
    if tell is not None:
        observers.append(Told(tell))
    warnings = console or Console(stderr=True)
    observers += [Dispensable(logger(kind, store, names), kind, warnings) for kind in options.log]
    return Together(observers)


def _executor(store: Store, plan: Plan, options: RunOptions) -> Executor:
    """Return an executor. Of GPUs, only those of this machine are asked for here."""
    if options.executor not in EXECUTORS:
        raise ConfigError(
            f"unknown executor '{options.executor}'{did_you_mean(options.executor, EXECUTORS)}",
            "executor",
        )
    paying = frozenset(v.program for v in verdicts(plan, options.device) if v.pays)
    compiled: Compiled = paying if options.compiled is None else options.compiled
    if options.executor == "ray":
        from pyrovae.study.execute.cluster import RayExecutor

        return RayExecutor(
            store,
            plan.datasets,
            address=options.address,
            compiled=compiled,
            device=options.device,
            checkpoint_seconds=options.checkpoint_seconds,
        )
    places = devices(options.device)
    if options.executor == "inline":
        return InlineExecutor(
            store,
            plan.datasets,
            compiled=compiled,
            device=places[0],
            checkpoint_seconds=options.checkpoint_seconds,
        )
    return LocalExecutor(
        store,
        plan.datasets,
        workers=options.workers or len(places),
        compiled=compiled,
        devices=places,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def _todo(
    plan: Plan, store: Store, outcome: Outcome, names: Mapping[str, str], *, force: bool
) -> list[PlannedRun]:
    todo = []
    for run in plan.runs:
        folder = store.run(run.id)
        damage = folder.damage()
        if damage:
            outcome.damaged[run.id] = f"{damage}; it is kept as {store.set_aside(run.id)}"
        status = store.status(run)
        if force:
            store.checkpoints.remove(run.id)
        if force or status in ("missing", "outdated"):
            todo.append(run)
        elif status == "failed":
            stored = folder.failure() or {}
            reason = diverged(stored["step"], stored["cause"])
            outcome.failed[run.id] = failure(reason, names[run.id])
        else:
            store.relocate(run)
            outcome.kept += 1
    return todo


def _follow(
    executor: Executor,
    observer: Display,
    outcome: Outcome,
    names: Mapping[str, str],
    max_hours: float | None,
) -> None:
    """Count and show what happens until all is done, or until it is to end."""
    events = executor.as_completed()
    clock = threading.Timer((max_hours or 0) * 3600, executor.stop)
    if max_hours is not None:
        clock.daemon = True
        clock.start()
    try:
        with _stopping_on_signals(executor, outcome), observer:
            for event in events:
                observer.show(event)
                if event.kind == "done":
                    outcome.done += 1
                elif event.kind in ("diverged", "crashed"):
                    outcome.failed[event.run.id] = failure(event.reason, names[event.run.id])
    finally:
        clock.cancel()
        events.close()  # type: ignore[attr-defined]


@contextmanager
def _stopping_on_signals(executor: Executor, outcome: Outcome) -> Iterator[None]:
    """Stop the executor at the first SIGINT or SIGTERM, raise KeyboardInterrupt at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def stop(number: int, _: object) -> None:
        if outcome.signal is not None:
            raise KeyboardInterrupt
        outcome.signal = number
        executor.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe(plan: Plan) -> dict[str, str]:
    """Return a short description of each run by id: what varies in the study, and the seed."""
    return dict(zip((run.id for run in plan.runs), told(labels_of(plan.runs)), strict=True))
