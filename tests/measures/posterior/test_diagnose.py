"""From a study with diagnostics to files that plain ArviZ opens, figures and a comparison."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from matplotlib.image import imread
from report.texts import cut_off, overlaps
from scipy import stats
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.measures import arviz as inference_data
from pyrovae.measures.posterior.diagnose import nearest_bound
from pyrovae.measures.posterior.scores import PREFIX
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.measures.posterior.weights import Estimate
from pyrovae.measures.scores import STANDARD_ERROR, declared_scores
from pyrovae.report import write_report
from pyrovae.report.diagnosis import said
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study import gallery
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults, load_study

#: What no option of the command sets.
FEW = {
    "guide_samples": 200,
    "annealed_chains": 4,
    "simulated": 2,
    "search_steps": 10,
    "simulations": 100,
    "calibration_draws": 15,
    "local_classifiers": 19,
    "replicates": 20,
}
SETTINGS = json.dumps({"points": 4, "warmup": 20, "draws": 100, "temperatures": 20, **FEW})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Return a study of two cells with one seed each, diagnosed as it was run."""
    folder = tmp_path_factory.mktemp("diagnosed")
    overrides = ("seeds=1", "training.steps=20", f"evaluation.diagnostics={SETTINGS}")
    plan = tiny_plan(folder, *overrides)
    outcome = run(plan, folder / "results")
    assert outcome.done == 2, outcome.failed
    return load_study(folder / "results" / "tiny")


def stored(study: StudyResults) -> DiagnosisFolder:
    return DiagnosisFolder.of(study.folder(study.runs["run"].iloc[0]))


def test_scores_stand_among_the_runs(study: StudyResults) -> None:
    scores = stored(study).scores()
    row = study.runs.iloc[0]
    assert row["posterior_points"] == scores["points"] == 4
    assert row["posterior_elbo"] == scores["elbo"]
    told = [k for k in row.index if k.startswith(PREFIX) and not k.endswith(STANDARD_ERROR)]
    declared = {score.key for score in declared_scores()}
    assert set(told) <= declared
    # Of numbers that are not finite, a run has none.
    numbers = {f"{PREFIX}{k}" for k, v in scores.items() if not isinstance(v, str)}
    left = {k for k in declared if k.startswith(PREFIX)} - numbers
    assert {k for k in left if not k.endswith("_points_se")} == set()
    assert scores["points_passed"] + scores["points_failed"] == 4
    assert scores["log_px"] == scores[scores["log_px_by"]] >= scores["elbo"]
    text = said(scores)
    assert f"{scores['points_passed']} of 4 points pass" in text
    assert ("FAIL" in text) == bool(scores["points_failed"])
    units = stored(study).units()
    missed = units.loc[units["blame"] == "guide", "kl"].sum()
    assert scores["blame_guide_kl"] == pytest.approx(missed)


def test_diagnostics_are_no_part_of_a_runs_identity(tmp_path: Path) -> None:
    without, with_ = tiny_plan(tmp_path), tiny_plan(tmp_path, "evaluation.diagnostics={}")
    assert [r.id for r in without.runs] == [r.id for r in with_.runs]
    assert without.runs[0].config.evaluation.diagnostics is None


def test_wrong_settings_are_told_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="diagnostics"):
        tiny_plan(tmp_path, "evaluation.diagnostics={points: 0}")


def test_plain_arviz_opens_the_file(study: StudyResults, tmp_path: Path) -> None:
    program = (
        "import json, sys, warnings\n"
        "from importlib.abc import MetaPathFinder\n"
        "warnings.simplefilter('ignore')\n"
        "class Refuse(MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pyrovae', 'pyro', 'torch'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "try:\n"
        "    import pyrovae\n"
        "except ModuleNotFoundError:\n"
        "    import arviz as az\n"
        "data = az.from_netcdf(sys.argv[1])\n"
        "z = data.posterior['z']\n"
        "table = az.summary(data, var_names=['z'])\n"
        "groups = data.groups() if callable(data.groups) else data.groups\n"
        "groups = [name.strip('/') for name in groups]\n"
        "print(json.dumps([list(z.dims), list(z.shape), len(table), groups]))"
    )
    path = stored(study).path / "posterior.nc"
    # Isolated (-I), in an empty folder: nothing of this package can be found.
    command = [sys.executable, "-I", "-c", program, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    dims, shape, rows, groups = json.loads(told.stdout.splitlines()[-1])
    assert dims == ["chain", "draw", "datum", "latent"]
    assert shape == [4, 100, 4, 4]
    assert rows == 16
    assert {"posterior", "sample_stats", "guide", "observed_data"} <= set(groups)


def test_one_module_speaks_to_arviz() -> None:
    package = Path(pyrovae.__file__).parent
    spoken = re.compile(r"(?m)^\s*(import|from) +arviz|import_module\(f?.arviz|\baz\.\w+\(")
    speaking = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if spoken.search(path.read_text())
    ]
    assert speaking == ["measures/arviz.py"]


def test_report_draws_the_diagnoses_that_have_no_figures(
    study: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "FIGURES", {})
    monkeypatch.setattr(gallery, "ON_REQUEST", {})
    first, second = (DiagnosisFolder.of(study.folder(run_id)) for run_id in study.runs["run"])
    second.figures.mkdir()
    report = write_report(study)
    assert not list(second.figures.iterdir())
    second.figures.rmdir()
    pictures = {path.stem: path for path in first.figures.glob("*.png")}
    assert {"gate", "gaps", "calibration", "replicates", "khat", "trace", "rank"} <= set(pictures)
    assert all(imread(path).std() > 0.01 for path in pictures.values())
    assert (first.figures / "gate.pdf").read_bytes().startswith(b"%PDF")

    text = (report / "report.md").read_text()
    assert "## The true posterior" in text
    for name in pictures:
        link = f"../diagnostics/{first.path.name}/figures/{name}.png"
        assert f"]({link})" in text
        assert (report / link).exists()
    table = pd.read_csv(report / "tables" / "diagnosed.csv")
    assert table["prior"].tolist() == study.runs["prior"].tolist()
    for made, row in zip((first, second), table.itertuples(), strict=True):
        counts = made.units()["blame"].value_counts()
        for verdict in ("active", "model", "guide", "undecided"):
            assert getattr(row, verdict) == counts.get(verdict, 0)


def test_report_says_who_is_to_blame(study: StudyResults) -> None:
    (drawn,) = gallery.draw(present(study), "collapse_blame")
    for row in drawn.data.itertuples():
        units = DiagnosisFolder.of(study.folder(row.run)).units()
        assert row.active == units["guide_active"].sum()
        assert row.active + row.model + row.guide + row.undecided == len(units)


@pytest.mark.parametrize("kind", ["convergence", "khat", "sbc", "gaps"])
def test_each_diagnosed_run_has_its_figures(study: StudyResults, kind: str) -> None:
    made = list(gallery.draw(present(study), kind))
    assert len({drawn.name for drawn in made}) == len(study.runs) == 2
    for drawn, run_id in zip(made, study.runs["run"], strict=True):
        assert drawn.name.endswith(run_id[:8])
        assert drawn.caption.startswith(f"Run {run_id[:8]}. ")
        if kind == "khat":
            assert overlaps(drawn.figure) == []
            assert cut_off(drawn.figure) == []
            known = DiagnosisFolder.of(study.folder(run_id)).points()["pareto_k"]
            assert drawn.data["pareto_k"].tolist() == known.tolist()


def test_a_study_without_diagnoses_says_what_to_do(study: StudyResults, tmp_path: Path) -> None:
    copied = load_study(shutil.copytree(study.store.root, tmp_path / "tiny"))
    shutil.rmtree(copied.store.root / "diagnostics")
    with pytest.raises(NothingToDraw, match="pyrovae diagnose RUN"):
        next(gallery.draw(present(copied), "khat"))


def test_a_damaged_diagnosis_is_told_in_one_line(study: StudyResults, tmp_path: Path) -> None:
    copied = load_study(shutil.copytree(study.store.root, tmp_path / "tiny"))
    made = stored(copied)
    shutil.rmtree(made.figures, ignore_errors=True)
    (made.path / "posterior.nc").write_bytes((made.path / "posterior.nc").read_bytes()[:2000])
    told = CliRunner().invoke(main, ["study", "report", "tiny", "--results", str(tmp_path)])
    assert told.exit_code == 2
    assert told.output.startswith(str(made.path / "posterior.nc"))
    assert f"`pyrovae diagnose {made.path.name}`" in told.output
    for name, content in (("scores.json", "{"), ("units.csv", "")):
        (made.path / name).write_text(content)
        with pytest.raises(PyrovaeError, match=name):
            getattr(made, name.split(".")[0])()


def test_commands(study: StudyResults, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(DiagnosticsSettings, **FEW)
    monkeypatch.setattr("pyrovae.measures.posterior.settings.DiagnosticsSettings", few)
    results = str(study.store.root.parent)
    name = study.runs["run"].iloc[0]
    options = ["--points", "2", "--warmup", "20", "--draws", "100", "--temperatures", "10"]
    told = CliRunner().invoke(main, ["diagnose", name, "--results", results, *options])
    assert told.exit_code == 0, told.output
    assert "2 points" in told.output
    arguments = ["study", "compare", "tiny", "--results", results, "--points", "50", "--unsettled"]
    told = CliRunner().invoke(main, [*arguments, "--samples", "10"])
    assert told.exit_code == 0, told.output
    assert "student_t" in told.output
    assert "undecided" in told.output
    assert (study.store.root / "diagnostics" / "comparison.pdf").exists()


def test_noise_does_not_choose_the_estimate() -> None:
    def about(value: float, error: float) -> Estimate:
        return Estimate(torch.full((4,), value), torch.full((4,), error))

    sharp, blunt, low = about(-10.1, 0.002), about(-10.0, 0.4), about(-10.3, 0.002)
    assert nearest_bound({"low": low, "blunt": blunt, "sharp": sharp}) == "sharp"
    assert nearest_bound({"low": low, "blunt": about(-9.0, 0.4), "sharp": sharp}) == "blunt"


def test_comparison_is_arvizs_with_paired_errors() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200)
    a, b = hard - 100, hard - 101 + 0.1 * rng.normal(size=200)
    table = inference_data.compare({"b": b, "a": a})
    assert list(table.index) == ["a", "b"]
    assert table.loc["b", "elpd_diff"] == pytest.approx((a - b).sum(), rel=1e-2)
    assert table.loc["b", "dse"] == pytest.approx((a - b).std() * np.sqrt(200), rel=2e-2)
    assert table["weight"].sum() == pytest.approx(1)


def test_pareto_k_is_the_tail_index() -> None:
    rng = np.random.default_rng(0)
    weights = stats.genpareto(0.8).rvs(size=(20_000, 5), random_state=rng) + 1
    assert inference_data.pareto_k(np.log(weights)) == pytest.approx(0.8, abs=0.2)
    assert np.isneginf(inference_data.pareto_k(np.zeros((100, 2)))).all()
