"""The Ray executor on a real cluster of two nodes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_study import tiny_plan

from pyrovae.core.errors import PyrovaeError
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.store.results import load_study

ray = pytest.importorskip("ray", reason="needs pip install 'pyrovae[ray]'")
pytestmark = pytest.mark.slow

PORT = 6397
ADDRESS = f"127.0.0.1:{PORT}"
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def _ray(*arguments: str) -> None:
    told = subprocess.run([*RAY, *arguments], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def _raylets() -> set[int]:
    told = subprocess.run(["pgrep", "-f", "raylet/raylet"], capture_output=True, text=True)
    return {int(pid) for pid in told.stdout.split()}


@pytest.fixture
def second_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A cluster of two nodes with one CPU each; the process id of the second's raylet."""
    # A token that somebody left in ~/.ray would be asked for by some of Ray's processes only.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    if shutil.which("pgrep") is None:
        pytest.skip("needs pgrep to find the raylet")
    before = _raylets()
    small = ("--num-cpus", "1", "--object-store-memory", str(80 * 2**20), "--disable-usage-stats")
    _ray(
        "start", "--head", f"--port={PORT}", "--node-ip-address=127.0.0.1", *small,
        "--include-dashboard=false",
    )  # fmt: skip
    try:
        head = _raylets() - before
        _ray("start", f"--address={ADDRESS}", "--node-ip-address=127.0.0.1", *small)
        (second,) = _raylets() - before - head
        yield second
    finally:
        for pid in _raylets() - before:
            os.kill(pid, signal.SIGKILL)
        _ray("stop", "--force")


def test_a_node_that_is_lost_costs_nothing(
    second_node: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyrovae.study.execute import runner

    plan = tiny_plan(tmp_path, "training.steps=1000", "training.records=1", "seeds=2")
    seen: list[str] = []

    class Watching:
        def __enter__(self) -> Watching:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def show(self, event: object) -> None:
            seen.append(event.kind)  # type: ignore[attr-defined]
            if seen.count("done") == 1 and second_node in _raylets():
                os.kill(second_node, signal.SIGKILL)

    monkeypatch.setattr(runner, "display", lambda *_, **__: Watching())
    outcome = run_plan(
        plan,
        tmp_path / "results",
        RunOptions(compiled=False, executor="ray", address=ADDRESS, checkpoint_seconds=1.0),
    )
    assert second_node not in _raylets()
    assert (outcome.done, outcome.failed, outcome.left) == (4, {}, 0)
    assert len(load_study(tmp_path / "results" / "tiny").runs) == 4


def test_results_come_back_where_no_folder_is_shared(
    second_node: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyrovae.study.execute import cluster

    # Without the token no node knows the folder.
    monkeypatch.setattr(cluster, "atomic", SimpleNamespace(write_text=lambda *_: None))
    plan = tiny_plan(tmp_path, "seeds=1")
    outcome = run_plan(
        plan, tmp_path / "results", RunOptions(compiled=False, executor="ray", address=ADDRESS)
    )
    assert (outcome.done, outcome.failed) == (2, {})


def test_no_cluster_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(PyrovaeError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        run_plan(
            tiny_plan(tmp_path),
            tmp_path / "results",
            RunOptions(executor="ray", address="127.0.0.1:1"),
        )
