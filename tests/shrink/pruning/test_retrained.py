"""Counterparts of pruned runs: which are trained, and which are found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from report.made import make_study

from pyrovae.core.errors import PyrovaeError
from pyrovae.shrink.pruning import retrained
from pyrovae.study.config.read import Study
from pyrovae.study.store.results import StudyResults


def _pruned(root: Path, left: int, monkeypatch: pytest.MonkeyPatch) -> StudyResults:
    """Return a study of 4 and 16 units, of whose large runs pruning left some."""
    study = make_study(root / "s", seeds=2, latent_dim=[4, 16], objective=["elbo", "autoencoder"])
    smaller = make_study(root / "s-pruned", seeds=2, latent_dim=[left])
    large = study.runs[(study.runs["latent_dim"] == 16) & (study.runs["objective"] == "elbo")]
    names = dict(zip(large["run"], smaller.runs["run"], strict=True))
    table = pd.DataFrame({"run": study.runs["run"]})
    table["pruned"] = [names.get(run, "") for run in table["run"]]
    monkeypatch.setattr(retrained, "pruned_runs", lambda given: table)
    return study


def test_large_runs_are_trained_again_at_the_size_that_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = _pruned(tmp_path, 9, monkeypatch)
    monkeypatch.setattr(retrained, "make_plan", lambda asked: asked)
    asked = retrained.retrained_plan(study)
    assert isinstance(asked, Study)
    assert asked.name == "s-retrained"
    assert [(run.config.latent_dim, run.config.seed) for run in asked.runs] == [(9, 0), (9, 1)]
    large = study.runs[(study.runs["latent_dim"] == 16) & (study.runs["objective"] == "elbo")]
    with pytest.raises(PyrovaeError, match=r"as many latent units as pruning left \(9\)"):
        retrained.retrained_runs(study, large["run"])
    again = make_study(tmp_path / "s-retrained", seeds=2, latent_dim=[9])
    found = retrained.retrained_runs(study, large["run"])
    assert found["run"].tolist() == large["run"].tolist()
    assert found["elbo"].tolist() == again.runs["elbo"].tolist()
    assert (found["latent_dim"] == 9).all()


def test_a_size_that_the_study_has_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = _pruned(tmp_path, 4, monkeypatch)
    assert retrained.retrained_plan(study) is None
    large = study.runs[(study.runs["latent_dim"] == 16) & (study.runs["objective"] == "elbo")]
    small = study.runs[(study.runs["latent_dim"] == 4) & (study.runs["objective"] == "elbo")]
    assert retrained.retrained_runs(study, large["run"])["elbo"].tolist() == small["elbo"].tolist()
