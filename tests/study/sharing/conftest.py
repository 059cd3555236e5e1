"""A made study and an archive of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report.made import PRIORS, make_study

from pyrovae.study.sharing import export_study
from pyrovae.study.store.results import StudyResults


@pytest.fixture(scope="session")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two priors, two seeds; one run failed and one is missing; with traces of a killed process."""
    root = tmp_path_factory.mktemp("results") / "shared"
    study = make_study(root, seeds=2, units=4, fail=[1], leave_out=[3], prior=PRIORS[:2])
    (root / ".lock").touch()
    (root / "runs" / ".tmp-1-left").mkdir()
    (root / "runs" / ".tmp-1-left" / "config.yaml").write_text("half")
    return study


@pytest.fixture(scope="session")
def archive(shared_study: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_study(shared_study, tmp_path_factory.mktemp("archive") / "shared.zip")
