"""A study that was run once, and a copy of it for each test to damage."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_study import run, tiny_plan

from pyrovae.commands.main import main

#: What its study was run with.
CHANGES = (
    "grid.prior=[laplace]",
    "seeds=1",
    "training.steps=5",
    "training.records=1",
    "evaluation.points=50",
    "evaluation.metrics=[]",
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.yaml``, its results, and an archive of them."""
    root = tmp_path_factory.mktemp("trained")
    plan = tiny_plan(root, *CHANGES)
    assert run(plan, root / "results").done == 1
    np.save(root / "codes.npy", np.random.default_rng(0).normal(size=(30, 2)))
    images = np.random.default_rng(2).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8)
    np.save(root / "images.npy", images)
    np.save(root / "factors.npy", np.random.default_rng(1).integers(3, size=(30, 2)))
    told = CliRunner().invoke(
        main,
        [
            "study",
            "export",
            "tiny",
            "--results",
            str(root / "results"),
            "--out",
            str(root / "archive.zip"),
        ],
    )
    assert told.exit_code == 0, told.output
    return root


@dataclass
class Place:
    """A working directory with results, whose only run is ``run``."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "results" / "tiny"

    @property
    def run(self) -> Path:
        (folder,) = (self.study / "runs").iterdir()
        return folder

    def valid(self) -> dict[str, str]:
        """Return a good value for each argument of any command, by the argument's name."""
        return {
            "name": "tiny",
            "names": "tiny",
            "run": self.run.name,
            "file": str(self.root / "tiny.yaml"),
            "archive": str(self.root / "archive.zip"),
            "data": str(self.root / "images.npy"),
            "codes": str(self.root / "codes.npy"),
            "factors": str(self.root / "factors.npy"),
            "kind": "active_units",
            "dest": str(self.root / "tiny.yaml"),
        }

    def invoke(self, *arguments: str) -> Result:
        results = {"PYROVAE_RESULTS": str(self.root / "results")}
        return CliRunner(env=results).invoke(main, arguments)

    def refused(self, *arguments: str) -> str:
        """Return the one line that a command ends with, whose exit code is 2."""
        told = self.invoke(*arguments)
        shown = f"{arguments}: {told.exit_code}\n{told.output}"
        assert told.exit_code == 2, shown
        (line,) = told.stderr.splitlines() or [""]
        assert line.strip(), shown
        assert "Traceback" not in told.output
        assert "fault of pyrovae" not in line
        return line


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of it, which is the working directory too."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


@pytest.fixture(scope="session")
def shared(trained: Path) -> Place:
    """The same, for tests that change nothing."""
    return Place(trained)
