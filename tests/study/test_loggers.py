"""Logs in the real libraries' own files, read back by them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tiny_study import tiny_plan

from pyrovae.core.errors import PyrovaeError
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.store.folders import Store
from pyrovae.study.store.results import StudyResults, load_study
from pyrovae.study.watch import loggers
from pyrovae.study.watch.loggers import logger


def _logged(kind: str, folder: Path) -> StudyResults:
    plan = tiny_plan(folder, "seeds=1")
    outcome = run_plan(plan, folder, RunOptions("inline", compiled=False, log=[kind]))
    assert outcome.done == 2
    return load_study(folder / "tiny")


def test_tensorboard(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = _logged("tensorboard", tmp_path)
    folders = sorted((tmp_path / "tiny" / "tensorboard").iterdir())
    assert len(folders) == 2
    for run in study.runs.to_dict("records"):
        (folder,) = [f for f in folders if f.name.endswith(run["run"][:8])]
        assert run["prior"].split("_")[0] in folder.name
        log = EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload()
        history = study.folder(run["run"]).history()
        for name in ("rate", "distortion", "used_units", "active_units"):
            told = pd.DataFrame(log.Scalars(name))
            known = history[["step", name]].dropna()
            assert told["step"].tolist() == known["step"].tolist()
            assert told["value"].tolist() == pytest.approx(known[name].tolist(), rel=1e-6)
        assert log.Scalars("loss")[-1].step == 60
        assert log.Scalars("score/mig")[0].value == pytest.approx(run["mig"], rel=1e-6)
        assert len(log.Histograms("kl of units")) == len(history)


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    study = _logged("mlflow", tmp_path)
    client = mlflow.MlflowClient((tmp_path / "tiny" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 2
    for run in study.runs.to_dict("records"):
        (logged,) = [r for r in found if r.data.tags["pyrovae.run"] == run["run"]]
        assert logged.info.status == "FINISHED"
        assert logged.data.params["prior"] == run["prior"]
        assert logged.data.params["steps"] == "60"
        assert logged.data.metrics["score.mig"] == pytest.approx(run["mig"])
        told = client.get_metric_history(logged.info.run_id, "rate")
        known = study.folder(run["run"]).history()[["step", "rate"]].dropna()
        assert [m.step for m in told] == known["step"].tolist()
        assert [m.value for m in told] == pytest.approx(known["rate"].tolist())
        assert client.get_metric_history(logged.info.run_id, "loss")[-1].step == 60


def test_a_library_that_is_absent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(loggers.importlib, "import_module", absent)
    with pytest.raises(PyrovaeError, match=r"pip install 'pyrovae\[mlflow\]'"):
        logger("mlflow", Store(tmp_path), {})
