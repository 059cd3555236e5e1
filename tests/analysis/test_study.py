"""``pyrovae study analyse``: what is stored, and what is not when chains do not pass."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from report.made import PRIORS, make_study

from pyrovae.analysis import CellPosterior, load_analysis
from pyrovae.analysis import study as analysis_study
from pyrovae.analysis.design import make_design
from pyrovae.commands.main import main
from pyrovae.measures.arviz import bundle
from pyrovae.measures.posterior.convergence import Convergence
from pyrovae.measures.scores import Score
from pyrovae.study.store.results import StudyResults, load_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    root = tmp_path_factory.mktemp("results") / "small"
    return make_study(root, seeds=3, units=4, prior=PRIORS[:2])


def _analyse(study: StudyResults, *arguments: str) -> tuple[int, str]:
    results = ["--results", str(study.store.root.parent), "--workers", "1"]
    told = CliRunner().invoke(main, ["study", "analyse", study.name, *results, *arguments])
    return told.exit_code, told.output


def test_chains_that_are_too_short_are_stored_and_conclude_nothing(study: StudyResults) -> None:
    short = ["--chains", "2", "--draws", "10", "--warmup", "20"]
    code, output = _analyse(study, "--metric", "rate", *short)
    assert code == 1
    assert "rate: R-hat" in output or "rate: bulk" in output
    stored = load_analysis(study)
    assert stored is not None
    assert stored.fresh
    assert stored.metrics() == []
    assert list(stored.refused()) == ["rate"]
    for name in ("cells", "levels", "contrasts", "effects"):
        assert stored.table(name).empty
    # What needs no chains is there, and so are the chains.
    assert set(stored.table("bootstrap")["metric"]) == {"rate"}
    draws = stored.posterior("rate")["posterior"]["mean"]
    assert dict(draws.sizes) == {"chain": 2, "draw": 10, "cell": 2}
    assert stored.table("summary")["metric"].eq("rate").all()


def test_what_passes_is_in_every_table(
    study: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a posterior that is known instead of one that is sampled."""

    def known(runs: pd.DataFrame, metric: Score, factors: list[str], **_: object) -> CellPosterior:
        means = runs.groupby(factors, sort=False)[metric.key].mean()
        rng = np.random.default_rng(0)
        draws = means.to_numpy() * (1 + 0.01 * rng.standard_normal((2, 300, len(means))))
        dims = ("chain", "draw", "cell")
        data = bundle({"posterior": xr.Dataset({"mean": (dims, draws)})})
        coords = {"cell": range(len(means)), "runs": ("cell", [3] * len(means))}
        flat = xr.DataArray(draws.reshape(-1, len(means)), coords, dims=("sample", "cell"))
        design = make_design(means.reset_index()[factors], factors)
        return CellPosterior(metric, design, flat, Convergence(1.0, 600.0, 600.0, 0.0), data)

    monkeypatch.setattr(analysis_study, "fit", known)
    code, output = _analyse(study, "--rope", "dci=0.2", "--seed", "7")
    assert code == 0, output
    stored = load_analysis(study)
    assert stored is not None
    assert {"used_units", "elbo", "rate", "distortion", "mig", "dci_used_only"} <= set(
        stored.metrics()
    )
    assert stored.refused() == {}
    about = json.loads((stored.root / "analysis.json").read_text())
    # Of active units alone where that is another score, for which what is told of DCI holds too.
    assert about["metrics"]["dci_used_only"]["rope"] == 0.2
    assert "dci" not in about["metrics"]
    assert about["sampling"]["seed"] == 7
    for name in (
        *("cells", "levels", "contrasts", "effects", "summary"),
        *("bootstrap", "improvement", "profiles"),
    ):
        assert set(stored.table(name)["metric"]) == set(stored.metrics()), name
    cells = stored.table("cells").query("metric == 'rate'")
    expected = study.runs.groupby("prior", sort=False)["rate"].mean()
    np.testing.assert_allclose(cells["mean"], expected, rtol=2e-3)
    assert (stored.posterior("rate")["posterior"]["mean"].shape) == (2, 300, 2)
    changed = load_study(study.store.root)
    fewer = StudyResults("small", "", changed.runs[1:], {}, [], changed.store)
    again = load_analysis(fewer)
    assert again is not None
    assert not again.fresh
    # A report adds scores across seeds to the table: what was compared is still the same.
    for added, fresh in ({"udr": 0.5}, True), ({"rate": 1.0}, False):
        more = load_analysis(replace(changed, runs=changed.runs.assign(**added)))
        assert more is not None
        assert more.fresh is fresh, added


def test_bad_requests_are_told_in_one_line(study: StudyResults) -> None:
    for arguments, word in (
        (["--metric", "mgi"], "did you mean 'mig'"),
        (["--rope", "mig"], "metric=number"),
        (["--rope", "mig=-1"], "must be positive"),
    ):
        code, output = _analyse(study, *arguments)
        assert code == 2
        assert word in output
        assert len(output.strip().splitlines()) == 1
