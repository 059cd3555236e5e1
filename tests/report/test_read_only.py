"""Judges, reports and pages read, and write their own output only."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from pyrovae.api.stages import measure_study
from pyrovae.commands.main import main
from report.made import make_study

#: What may not be called: what trains, loads data or a model, or measures.
COMPUTING = (
    "pyrovae.study.store.trained.load_trained",
    "pyrovae.study.plan.planning.model_of",
    "pyrovae.study.plan.planning.vae_of",
    "pyrovae.datasets.load_dataset",
    "pyrovae.analysis.phase_diagram.load_dataset",
    "pyrovae.analysis.udr.udr",
    "pyrovae.analysis.chance.score_representation",
    "pyrovae.analysis.heldout.heldout_log_px",
    "pyrovae.shrink.pruning.stage.prune_run",
    "pyrovae.study.store.folders.Store.write_run",
    "pyrovae.study.store.derived.write",
)


def _content(root: Path, own: Path) -> dict[str, str]:
    """Return the hash of every file of a folder but what is ``own``."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and own not in (path, *path.parents)
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    networks = [{"name": "mlp", "hidden": [8]}, {"name": "conv", "channels": [4], "dense": 8}]
    cells = [{"network": each, "evaluation.metrics": [{"name": "mig"}]} for each in networks]
    measure_study(make_study(root / "claims-networks", seeds=3, units=16, cells=cells))
    return root


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (["study", "report", "claims-networks"], "claims-networks/report"),
        (["study", "page", "claims-networks"], "claims-networks/claims-networks.html"),
        (["claims", "report", "networks"], "claims"),
    ],
    ids=["report", "page", "claims"],
)
def test_only_its_own_output_changes(
    results: Path, command: list[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a report may not compute this")

    for target in COMPUTING:
        monkeypatch.setattr(target, refuse)
    before = _content(results, results / own)
    called = CliRunner().invoke(main, [*command, "--results", str(results)])
    assert called.exit_code == 0, called.output
    assert (results / own).exists()
    assert _content(results, results / own) == before
