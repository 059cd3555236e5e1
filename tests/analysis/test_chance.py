"""Chance levels: scores of codes against factors whose rows are permuted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report.made import PRIORS, make_study

from pyrovae.analysis import chance
from pyrovae.analysis.chance import chance_levels, measure_chance
from pyrovae.measures.disentanglement import mig
from pyrovae.report.look.presented import present
from pyrovae.report.study.cell_scores import disentanglement
from pyrovae.report.tables import variation
from pyrovae.study.store.results import StudyResults

METRICS = [{"name": "mig"}]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """A study whose codes are its factors: far above chance."""
    root = tmp_path_factory.mktemp("results") / "known"
    cells = [{"prior": prior, "evaluation.metrics": METRICS} for prior in PRIORS[:2]]
    study = make_study(root, seeds=2, units=4, cells=cells)
    for run in study.runs["run"]:
        folder = study.folder(run)
        factors = np.random.default_rng(int(run[:8], 16)).integers(3, size=(40, 3))
        np.save(folder.path / "factors.npy", factors.astype(np.int32))
        codes = np.column_stack([factors, np.zeros(40)]).astype(np.float32)
        np.save(folder.path / "codes.npy", codes)
    measure_chance(study)
    return study


def test_chance_is_the_score_of_permuted_factors(measured: StudyResults):
    """By hand: as many permutations as told, of the seeds in turn, each the metric's own number."""
    table = chance_levels(measured).set_index(["cell", "score"])
    cell, runs = next(iter(measured.runs.groupby("cell", sort=False)["run"]))
    values = []
    for i in range(chance.PERMUTATIONS):
        folder = measured.folder(runs.iloc[i % 2])
        config = measured.configs[folder.id]
        rows = np.random.default_rng([config.seed, i, *b"chance"]).permutation(40)
        values.append(mig(folder.codes().astype(float), folder.factors()[rows]).score)
    found = table.loc[(cell, "mig")]
    assert found["n"] == chance.PERMUTATIONS
    assert found["chance"] == pytest.approx(np.mean(values))
    assert (found["chance_low"], found["chance_high"]) == pytest.approx((min(values), max(values)))
    # What the codes tell is gone.
    folder = measured.folder(runs.iloc[0])
    assert mig(folder.codes().astype(float), folder.factors()).score > 0.9
    assert found["chance_high"] < 0.4


def test_what_is_there_is_not_computed_again_unless_a_run_changed(
    measured: StudyResults, monkeypatch: pytest.MonkeyPatch
):
    scored = []
    real = chance._scores
    monkeypatch.setattr(chance, "_scores", lambda *given: scored.append(1) or real(*given))
    measure_chance(measured)
    assert scored == []
    folder = measured.folder(measured.runs["run"].iloc[0])
    before = (folder.path / "checksums.json").read_bytes()
    (folder.path / "checksums.json").write_text("{}")
    # Of a cell with another run nothing is known any more.
    assert chance_levels(measured)["cell"].nunique() == 1
    (folder.path / "checksums.json").write_bytes(before)


def test_figures_and_the_table_of_scores_have_it(measured: StudyResults):
    drawn = disentanglement(present(measured))
    known = drawn.data[drawn.data["score"] == "mig"]
    level = chance_levels(measured).set_index(["cell", "score"])["chance"]
    assert sorted(known["chance"].unique()) == pytest.approx(
        sorted(level.xs("mig", level="score").unique())
    )
    assert "chance level" in drawn.caption
    (line,) = (x for x in variation.markdown(present(measured)).splitlines() if "MIG" in x)
    mean = level.xs("mig", level="score").mean()
    assert line.split("|")[5].strip() == f"{mean:.4f}"


def test_data_without_factors_have_none(tmp_path: Path):
    study = make_study(tmp_path / "bare", seeds=2, units=4, factors=False, prior=PRIORS[:2])
    measure_chance(study)
    assert chance_levels(study).empty
