"""What a running study publishes, and what the terminal makes of it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tiny_study import run, tiny_plan

from pyrovae.commands.main import main
from pyrovae.study.execute.runner import describe
from pyrovae.study.plan.planning import Plan
from pyrovae.study.store.folders import Store
from pyrovae.study.watch import live
from pyrovae.study.watch.events import Event
from pyrovae.study.watch.follow import curve, view, watch
from pyrovae.study.watch.live import Publisher
from pyrovae.study.watch.observers import Dispensable, Together
from pyrovae.study.watch.progress import display


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return tiny_plan(tmp_path_factory.mktemp("plan"))


def _shown(root: Path, now: float) -> str:
    console = Console(width=140, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(view(live.read(root), Store(root), now))
    return console.export_text()


def test_follows_a_study_from_start_to_end(plan: Plan, tmp_path: Path):
    clock = Clock()
    names = describe(plan)
    first, second = plan.runs[:2]
    publisher = Publisher(tmp_path, len(plan.runs), names, clock)
    with publisher:
        assert "0 of 4 runs over" in _shown(tmp_path, clock())
        publisher.show(Event("started", first))
        publisher.show(Event("started", second))
        clock.now += 10
        publisher.show(Event("progress", first, step=30, loss=123.4, active_units=27))
        told = _shown(tmp_path, clock())
        assert names[first.id] in told
        assert "30/60" in told
        assert "123.4" in told
        assert "27" in told.split(names[first.id])[1].split("\n")[0]
        assert "compiling" in told  # the second has said nothing yet
        # An eighth of all is done after 10 s.
        assert "about 1 min 10 s left" in told
        clock.now += 1
        publisher.show(Event("diverged", second, reason="at step 3: loss = nan\nmore"))
        told = _shown(tmp_path, clock())
        assert "1 of 4 runs over, 1 failed" in told
        assert "failed: at step 3: loss = nan" in told
        assert "more" not in told
        assert "no news" not in told
        assert "no news for 2 min" in _shown(tmp_path, clock() + 120)
    assert "ended after 11 s" in _shown(tmp_path, clock())
    snapshot = live.read(tmp_path)
    assert snapshot is not None
    assert not snapshot.is_running()


def test_progress_is_written_at_most_once_a_second(plan: Plan, tmp_path: Path):
    clock = Clock()
    publisher = Publisher(tmp_path, 1, describe(plan), clock)
    file = tmp_path / live.FILE
    with publisher:
        publisher.show(Event("started", plan.runs[0]))
        written = file.read_bytes()
        publisher.show(Event("progress", plan.runs[0], step=10, loss=1.0))
        assert file.read_bytes() == written
        clock.now += 1
        publisher.show(Event("progress", plan.runs[0], step=20, loss=1.0))
        assert json.loads(file.read_bytes())["runs"][plan.runs[0].id]["step"] == 20
    assert [entry.name for entry in tmp_path.iterdir()] == [live.FILE]


@given(st.integers(1, 1000))
def test_losses_stay_evenly_spaced(plan_free_count: int):
    """However many there are, few are kept, and they span the training."""
    publisher = Publisher.__new__(Publisher)
    publisher._strides, publisher._seen = {"a": 1}, {"a": 0}
    kept = live.RunProgress(name="", steps=1, started=0.0)
    for i in range(plan_free_count):
        publisher._add_loss("a", kept, float(i))
    assert len(kept.losses) <= 60
    gaps = {b - a for a, b in zip(kept.losses, kept.losses[1:], strict=False)}
    assert kept.losses[0] == 0
    assert len(gaps) <= 1
    assert plan_free_count - kept.losses[-1] <= max(gaps, default=1)


def test_a_process_that_is_gone_is_noticed(plan: Plan, tmp_path: Path):
    publisher = Publisher(tmp_path, 4, describe(plan), Clock())
    publisher.show(Event("started", plan.runs[0]))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    content = json.loads((tmp_path / live.FILE).read_text())
    assert "running for" in _shown(tmp_path, 1001.0)
    (tmp_path / live.FILE).write_text(json.dumps(content | {"process": ended.pid}))
    assert "its process is gone" in _shown(tmp_path, 1001.0)
    (tmp_path / live.FILE).write_text(json.dumps(content | {"host": "elsewhere"}))
    assert "running for" in _shown(tmp_path, 1001.0)


def test_watches_a_real_study(plan: Plan, tmp_path: Path):
    run(plan, tmp_path)
    told = CliRunner().invoke(main, ["study", "watch", "tiny", "--results", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "4 of 4 runs over, ended after" in told.output
    snapshot = live.read(tmp_path / "tiny")
    assert snapshot is not None
    for told_run in snapshot.runs.values():  # measured at the records before the last
        assert told_run.active_units in range(5)
    scores = Store(tmp_path / "tiny").index()
    for elbo in scores["elbo"]:
        assert f"{elbo:.1f}" in told.output
    console = Console(force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    watch(tmp_path / "tiny", console)  # returns, since it has ended


def test_before_and_beside_any_progress(tmp_path: Path):
    told = CliRunner().invoke(main, ["study", "watch", "none", "--results", str(tmp_path)])
    assert told.exit_code == 2
    assert "no study 'none'" in told.output
    assert "nobody has run it" in _shown(tmp_path, 0.0)
    (tmp_path / live.FILE).write_text("{ half")
    assert live.read(tmp_path) is None


@given(st.lists(st.floats(-1e9, 1e9), max_size=70), st.integers(1, 30))
def test_curves_fit_and_keep_the_order(values: list[float], width: int):
    drawn = curve(values, width)
    assert len(drawn) == min(len(values), width)
    if values and len(values) <= width and not math.isclose(min(values), max(values)):
        assert drawn[values.index(max(values))] == "█"
        assert drawn[values.index(min(values))] == "▁"


class _Recorder:
    def __init__(self, fail_at: str = "") -> None:
        self.told: list[str] = []
        self._fail_at = fail_at

    def __enter__(self) -> _Recorder:
        self.told.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.told.append("exit")

    def show(self, event: Event) -> None:
        if event.kind == self._fail_at:
            raise ConnectionError("the server\nis away")
        self.told.append(event.kind)


def test_one_observers_failure_is_its_own(plan: Plan):
    console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    broken, sound = _Recorder("progress"), _Recorder()
    with Together([Dispensable(broken, "mlflow", console), sound]) as observers:
        for kind in ("started", "progress", "progress", "done"):
            observers.show(Event(kind, plan.runs[0]))
    assert sound.told == ["enter", "started", "progress", "progress", "done", "exit"]
    assert broken.told == ["enter", "started"]
    told = console.export_text()
    assert told.strip() == "mlflow: ConnectionError: the server; the study goes on without it"


def test_a_line_tells_the_steps_that_were_done(plan: Plan) -> None:
    """Not those that were allowed: a run that settled ended before; one measured again did none."""
    console = Console(width=140, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    shown = display(3, console, describe(plan), quiet=False)
    for planned, step in zip(plan.runs, (20, 60, 0), strict=False):
        shown.show(Event("started", planned))
        shown.show(Event("done", planned, step=step))
    lines = console.export_text().splitlines()
    assert [line.split(": ")[-1].split(",")[0] for line in lines] == [
        "20 steps",
        "60 steps",
        "measured again",
    ]
