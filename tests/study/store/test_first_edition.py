"""Results that version 0.1.0 stored: they open, keep their ids, and are not trained again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import pyrovae
from pyrovae.commands.main import main
from pyrovae.measures.collapse import bounds
from pyrovae.study.config.read import load_study_file
from pyrovae.study.plan.planning import make_plan
from pyrovae.study.store.folders import Store
from pyrovae.study.store.trained import load_trained

HERE = Path(__file__).parent
FILE = HERE / "first_edition.yaml"
IDS = ["dc26ff448cb3a8f9", "ffba9ef618554937"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "first_edition", tmp_path / "first_edition")
    return tmp_path


def test_planned_again_the_runs_have_the_ids_that_they_had(results: Path) -> None:
    plan = make_plan(load_study_file(FILE))
    assert [run.id for run in plan.runs] == IDS
    store = Store(results / plan.name)
    # Trained, but not yet measured by what this version counts.
    assert [store.status(run) for run in plan.runs] == ["outdated", "outdated"]
    assert all(store.run(run.id).damage() is None for run in plan.runs)


def test_nothing_is_trained_again_and_the_report_is_written(results: Path) -> None:
    runs = results / "first_edition/runs"
    names = ("config.yaml", "model.safetensors", "history.parquet", "environment.json")
    kept = {p: p.read_bytes() for name in names for p in runs.glob(f"*/{name}")}
    metrics = {p: json.loads(p.read_text()) for p in runs.glob("*/metrics.json")}
    # Measured again, by another processor: the last digits are its own.
    codes = {p: np.load(p) for p in runs.glob("*/codes.npy")}
    assert len(metrics) == len(codes) == 2
    called = CliRunner().invoke(main, ["study", "run", str(FILE), "--results", str(results)])
    assert called.exit_code == 0, called.output
    assert {p: p.read_bytes() for p in kept} == kept
    for path, were in codes.items():
        np.testing.assert_allclose(np.load(path), were, rtol=1e-4, atol=1e-5)
    for path, before in metrics.items():
        after = json.loads(path.read_text())
        # What was measured is what it was; what this version counts has come.
        found = {key: after["scores"][key] for key in before["scores"]}
        assert found == pytest.approx(before["scores"], rel=1e-4, abs=1e-5)
        assert "used_units" in after["scores"]
        assert after["settled"]["yes"] is None  # the held-out bound was not recorded then
    assert (results / "first_edition/report/report.md").exists()
    called = CliRunner().invoke(main, ["study", "run", str(FILE), "--results", str(results)])
    assert "0 runs done, 2 kept from before, 0 failed" in called.output


def test_all_that_is_stored_opens(results: Path) -> None:
    study = pyrovae.load_study(results / "first_edition")
    assert study.runs["run"].tolist() == IDS
    assert study.runs["prior"].tolist() == ["standard_normal", "laplace"]
    assert len(study.units()) == 8
    assert study.history().groupby("run").size().tolist() == [4, 4]
    assert study.posterior[IDS[0]].posterior["z"].shape == (2, 8, 4, 4)


def test_the_model_is_the_one_that_was_trained(results: Path) -> None:
    folder = Store(results / "first_edition").run(IDS[1])
    vae, dataset = load_trained(folder)
    stored = load_file(folder.path / "model.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in vae.state_dict().items())
    scores = json.loads((folder.path / "metrics.json").read_text())["scores"]
    x = dataset.test.floats(slice(100))
    again = bounds.estimate_bound(vae.datum_model, vae.datum_guide, x, samples=64, seed=1)
    assert abs(float(again.elbo.mean()) - scores["elbo"]) < 1.0
