"""``pyrovae.load_study``: a study as one object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from report.made import PRIORS, make_study

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.report.look.presented import present
from pyrovae.report.study.cell_scores import active_units


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> pyrovae.Study:
    root = tmp_path_factory.mktemp("results") / "opened"
    make_study(root, seeds=2, units=4, prior=PRIORS[:2])
    return pyrovae.load_study(root)


def test_tables_and_posteriors(study: pyrovae.Study):
    assert len(study.runs) == len(study.posterior) == 4
    assert set(study.units()["run"]) == set(study.posterior)
    run = study.runs["run"].iloc[2]
    z = study.posterior[run[:8]]["posterior"]["z"]
    assert z.dims == ("chain", "draw", "datum", "latent")
    assert z.equals(study.folder(run).posterior()["posterior"]["z"])
    with pytest.raises(KeyError, match="4 runs"):
        study.posterior[""]


def test_figures(study: pyrovae.Study):
    assert isinstance(study.figure("active_units"), Figure)
    drawn = active_units(present(study))
    drawn.axes[0].set_title("mine")
    assert drawn.figure.axes[0].get_title() == "mine"
    with pytest.raises(ConfigError, match="did you mean 'active_units'"):
        study.figure("active_unit")


def test_no_study_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="no study 'nothing'"):
        pyrovae.load_study(tmp_path / "nothing")


def test_importing_pyrovae_imports_no_torch():
    program = "import sys, pyrovae; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "False"]
