"""What breaks costs what was in flight and nothing else, and is told."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_study import run, tiny_plan

from pyrovae.core import atomic
from pyrovae.core.errors import PyrovaeError
from pyrovae.study.execute.execution import Execution
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.execute.workers import LocalExecutor
from pyrovae.study.plan.batches import batches
from pyrovae.study.plan.planning import Plan
from pyrovae.study.store.folders import Store
from pyrovae.study.store.lock import locked
from pyrovae.study.watch.events import Event


def _execute(plan: Plan, store: Store, size: int = 1, **options: object) -> list[tuple[str, str]]:
    """Execute a plan in this process; return what happened, without the progress."""
    events: list[Event] = []
    execution = Execution(store, compiled=False, **options)  # type: ignore[arg-type]
    for task in batches(plan.runs, size):
        execution.execute(task, plan.datasets[task.runs[0].fingerprint], events.append)
    return [(e.kind, e.run.id) for e in events if e.kind != "progress"]


def _results(store: Store, run_id: str) -> tuple[dict, str, dict]:
    folder = store.run(run_id)
    model = {k: v.tolist() for k, v in load_file(folder.path / "model.safetensors").items()}
    return model, folder.history().to_json(double_precision=15), folder.metrics()["scores"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("small")
    return tiny_plan(folder, "grid.prior=[laplace]", "training.steps=120", "evaluation.metrics=[]")


@pytest.fixture(scope="module")
def whole(small: Plan, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The results of a study that nothing happened to."""
    store = Store(tmp_path_factory.mktemp("whole"))
    assert [kind for kind, _ in _execute(small, store)] == ["done", "done"]
    return store


@pytest.fixture
def copied(whole: Store, tmp_path: Path) -> Path:
    """A copy of them where ``run`` finds them; return the folder of all studies."""
    shutil.copytree(whole.root, tmp_path / "results" / "tiny")
    return tmp_path / "results"


@pytest.mark.parametrize("size", [1, 2])
def test_a_stopped_run_goes_on_where_it_was(
    small: Plan, whole: Store, tmp_path: Path, size: int
) -> None:
    store = Store(tmp_path)
    asked = iter([False, True])
    stopped = _execute(small, store, size, stop=lambda: next(asked, True))
    assert [kind for kind, _ in stopped] == ["stopped", "stopped"]
    ids = [r.id for r in small.runs]
    kept = [i for i in ids if store.checkpoints.path(i).exists()]
    assert kept == ids
    assert store.checkpoints.load(ids[0]).snapshot.step == 80  # type: ignore[union-attr]
    assert [kind for kind, _ in _execute(small, store, size)] == ["done", "done"]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    if size == 1:  # the same program: the same bits
        assert all(_results(store, i) == _results(whole, i) for i in ids)
    else:
        for i in ids:
            ours, theirs = _results(store, i)[2], _results(whole, i)[2]
            assert ours["elbo"] == pytest.approx(theirs["elbo"], rel=1e-3)
            assert len(store.run(i).history()) == 4


def test_a_damaged_checkpoint_is_set_aside(small: Plan, whole: Store, tmp_path: Path) -> None:
    store, first = Store(tmp_path), small.runs[0].id
    _execute(small, store, stop=lambda: True)
    path = store.checkpoints.path(first)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert [kind for kind, _ in _execute(small, store)] == ["done", "done"]
    assert _results(store, first) == _results(whole, first)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content


def test_damaged_runs_are_found_set_aside_and_trained_again(
    small: Plan, whole: Store, copied: Path
) -> None:
    store, (a, b) = Store(copied / "tiny"), [r.id for r in small.runs]
    history = store.run(a).path / "history.parquet"
    history.write_bytes(history.read_bytes()[:-7])
    (store.run(b).path / "metrics.json").unlink()
    outcome = run_plan(small, copied, RunOptions("inline", compiled=False))
    assert (outcome.done, outcome.kept, outcome.failed) == (2, 0, {})
    assert "history.parquet has another checksum" in outcome.damaged[a]
    assert "metrics.json is missing" in outcome.damaged[b]
    assert len(list((copied / "tiny" / "damaged" / f"{a}-1").iterdir())) > 5
    assert all(_results(store, i) == _results(whole, i) for i in (a, b))


def test_two_runners_of_one_study_do_not_meet(small: Plan, tmp_path: Path) -> None:
    mine = rf"process {os.getpid()} on \S+, started 0 s ago, is running this study"
    with locked(tmp_path / "tiny"), pytest.raises(PyrovaeError, match=mine):
        run(small, tmp_path)
    assert not (tmp_path / "tiny" / "study.json").exists()


def test_time_that_is_up_before_the_start_trains_nothing(small: Plan, tmp_path: Path) -> None:
    outcome = run_plan(small, tmp_path, RunOptions(workers=1, compiled=False, max_hours=0))
    assert (outcome.done, outcome.left, outcome.signal) == (0, 2, None)


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on which little room is left."""
    place = tmp_path / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    mountable = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount")
    if mountable and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        yield place
        subprocess.run(["umount", "-l", str(place)], check=True)
        return

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, "fsync", refuse)
        yield place


def test_a_full_disk_leaves_no_half_run(small: Plan, full_disk: Path) -> None:
    store, events = Store(full_disk), []
    execution = Execution(store, compiled=False)
    for task in batches(small.runs, 1):
        execution.execute(task, small.datasets[task.runs[0].fingerprint], events.append)
    ended = [e for e in events if e.kind != "progress"]
    assert [e.kind for e in ended] == ["crashed", "crashed"]
    assert "No space left on device" in ended[0].reason.split("\n")[0]
    assert list(store.runs.iterdir()) == []
    assert {store.status(r) for r in small.runs} == {"missing"}


def test_a_clock_that_jumps_changes_nothing(
    small: Plan, whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every look at the wall clock finds another year, back and forth.
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 * (1 + next(jumps) % 2))
    store = Store(tmp_path)
    assert [k for k, _ in _execute(small, store, checkpoint_seconds=0.0)] == ["done", "done"]
    assert all(_results(store, r.id) == _results(whole, r.id) for r in small.runs)
    environment = store.run(small.runs[0].id).environment()
    assert 0 < environment["training_seconds"] < 600


def test_a_killed_worker_is_replaced_once(tmp_path: Path) -> None:
    """The first time its run goes on from the checkpoint; a run that kills twice is given up."""
    plan = tiny_plan(tmp_path, "grid.prior=[laplace]", "training.steps=1000", "training.records=1")
    store = Store(tmp_path / "results")
    executor = LocalExecutor(
        store, plan.datasets, workers=1, compiled=False, checkpoint_seconds=0.0
    )
    for task in batches(plan.runs, 1):
        executor.submit(task)
    bad, good = (r.id for r in plan.runs)
    told: list[tuple[str, str]] = []
    first_steps: list[int] = []
    for event in executor.as_completed():
        if event.kind != "progress":
            told.append((event.kind, event.run.id))
            continue
        if told[-1] == ("started", event.run.id) and len(first_steps) < told.count(
            ("started", bad)
        ):
            first_steps.append(event.step)
        if event.run.id == bad and event.step >= 200 * told.count(("started", bad)):
            (worker,) = executor._workers.values()
            os.kill(worker.process.pid, signal.SIGKILL)
    started, lost, crashed = ("started", bad), ("lost", bad), ("crashed", bad)
    assert told == [started, lost, started, crashed, ("started", good), ("done", good)]
    assert first_steps[0] == 50
    assert first_steps[1] >= 200, "it went on from a checkpoint"
    assert not torch.cuda.is_initialized()
    assert json.loads((store.run(good).path / "metrics.json").read_text())["scores"]["elbo"] < 0
