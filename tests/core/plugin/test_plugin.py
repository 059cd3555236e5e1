"""A package of someone else's adds a prior, an optimiser and a metric; a study's file uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyrovae.study.store.results import load_study

HERE = Path(__file__).parent
STUDY = """
name: plugged
base:
  dataset: {name: sprites, size: 16, n_train: 200, n_test: 100}
  network: {name: mlp, hidden: [8]}
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 3
  training: {steps: 30, batch_size: 16, records: 2, optimizer: {name: sign_descent, scale: 0.5}}
  evaluation:
    points: 100
    samples: 4
    metrics: [mean_correlation, {name: mean_correlation, power: 2}, undeclared]
    guide_draws: {points: 2, draws: 5}
grid:
  prior: [standard_normal, {name: cauchy, scale: 0.5}]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package has been installed to, as pip does it."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(folder), str(HERE)],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder


def _pyrovae(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    places = [str(path), str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "pyrovae", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in places if p)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def plugged(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a study that uses the plug-in."""
    folder = tmp_path_factory.mktemp("plugged")
    file = folder / "plugged.yaml"
    file.write_text(STUDY)
    options = ("--no-compile", "--executor", "inline", "--results", str(folder))
    done = _pyrovae("study", "run", str(file), *options, path=installed)
    assert done.returncode == 0, done.stderr
    return folder / "plugged"


def test_a_study_uses_the_plugin(plugged: Path) -> None:
    study = load_study(plugged)
    runs = study.runs
    assert set(runs["prior"]) == {"standard_normal", "cauchy(scale=0.5)"}
    assert runs["mean_correlation"].between(0, 1).all()
    estimators = study.folder(runs["run"][0]).metrics()["estimators"]
    assert estimators["mean_correlation[power=2]"]["estimator"] == {"power": 2}
    assert (runs["mean_correlation[power=2]"] <= runs["mean_correlation"]).all()


@pytest.mark.slow
def test_the_report_says_what_the_plugin_declares_and_without_it_nothing(
    installed: Path, plugged: Path, tmp_path: Path
) -> None:
    for path, titles in (
        (installed, (r"Mean \|r\| ↑", r"Mean \|r\| (power = 2) ↑")),
        (tmp_path, ("Mean correlation", "Mean correlation (power = 2)")),
    ):
        results = ("--results", str(plugged.parent))
        told = _pyrovae("study", "report", "plugged", *results, path=path)
        assert told.returncode == 0, told.stderr
        text = (plugged / "report" / "report.md").read_text()
        for title in (*titles, "Undeclared"):
            assert f"| {title} |" in text


def test_its_scores_are_listed(installed: Path) -> None:
    listed = _pyrovae("list", "metrics", path=installed).stdout
    assert "Nobody 2026; plugin" in " ".join(listed.split())
    assert "Lost factors" in listed


def test_its_parameters_are_checked(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "plugged.yaml"
    file.write_text(STUDY.replace("{name: cauchy, scale: 0.5}", "{name: cauchy, scale: -1}"))
    told = _pyrovae("study", "plan", str(file), path=installed)
    assert told.returncode == 2
    assert "grid.prior[1].scale: prior 'cauchy': Input should be greater than 0" in told.stderr


def test_it_is_listed_with_its_origin(installed: Path) -> None:
    listed = _pyrovae("list", "priors", path=installed).stdout
    assert "cauchy" in listed
    assert "plugin" in listed


def test_its_optimiser_is_listed_too(installed: Path) -> None:
    listed = " ".join(_pyrovae("list", "optimizers", path=installed).stdout.split())
    assert "sign_descent │ scale=1.0" in listed
    assert "plugin pyrovae_cauchy:SignDescent" in listed


def test_a_broken_plugin_is_named(installed: Path, tmp_path: Path) -> None:
    # One that clashes with a built-in name, and one that cannot be imported.
    for target, reason in (("pyrovae_cauchy:Cauchy", "twice"), ("gone:Gone", "No module")):
        broken = tmp_path / reason.replace(" ", "")
        (broken / "broken-1.0.dist-info").mkdir(parents=True)
        (broken / "broken-1.0.dist-info/METADATA").write_text("Name: broken\nVersion: 1.0\n")
        (broken / "broken-1.0.dist-info/entry_points.txt").write_text(
            f"[pyrovae.priors]\nlaplace = {target}\n"
        )
        told = _pyrovae("list", "priors", path=Path(os.pathsep.join([str(broken), str(installed)])))
        assert told.returncode == 2
        assert told.stderr.startswith("plugin 'broken': prior 'laplace'")
        assert reason in told.stderr
        assert "Traceback" not in told.stderr
