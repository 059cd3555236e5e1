"""UDR of the runs of a study."""

from __future__ import annotations

import numpy as np
import pytest
from report.made import PRIORS, make_study

from pyrovae.analysis.udr import measure_udr, with_udr
from pyrovae.measures.disentanglement import udr
from pyrovae.study.store.results import StudyResults


def _scored(study: StudyResults) -> StudyResults:
    measure_udr(study)
    return with_udr(study)


def test_each_run_is_scored_against_the_other_seeds_of_its_cell(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=6, prior=PRIORS[:2])
    found = _scored(study)
    assert "udr" not in study.runs  # the study that was given is left as it was
    for _, cell in found.runs.groupby("cell"):
        folders = [study.folder(run) for run in cell["run"]]
        expected = udr([f.codes() for f in folders], [f.units()["kl"] for f in folders])
        assert cell["udr"].tolist() == pytest.approx(expected.parts["per_model"])


def test_seeds_that_agree_score_more_than_seeds_that_do_not(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:2])
    shared = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    first, second = (group["run"].tolist() for _, group in study.runs.groupby("cell", sort=False))
    for run in [*first, *second]:
        folder = study.folder(run)
        units = folder.units().assign(kl=1.0)
        units.to_parquet(folder.path / "units.parquet")
    for run, flip in zip(first, (1, -1, 1), strict=True):
        np.save(study.folder(run).path / "codes.npy", flip * shared)
    scores = _scored(study).runs.set_index("run")["udr"]
    assert scores[first].tolist() == pytest.approx([0.9] * 3, abs=0.05)  # 1 less the lasso's 0.1
    assert scores[second].max() < 0.7


def test_idle_units_do_not_count_however_large_their_kl(tmp_path) -> None:
    # A normal guide cannot be a Laplace prior: an idle unit costs 0.05 nats, over the paper's 0.01.
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:1])
    rng, runs = np.random.default_rng(0), study.runs["run"].tolist()
    shared = rng.normal(size=(40, 2))
    for run in runs:
        folder = study.folder(run)
        used = [True, False, True, False]
        folder.units().assign(kl=[1, 0.05, 1, 0.05], used=used).to_parquet(
            folder.path / "units.parquet"
        )
        codes = np.empty((40, 4))
        codes[:, [0, 2]], codes[:, [1, 3]] = shared, rng.normal(size=(40, 2))
        np.save(folder.path / "codes.npy", codes.astype(np.float32))
    scores = _scored(study).runs["udr"]
    assert scores.tolist() == pytest.approx([0.9] * 3, abs=0.02)
    folders = [study.folder(run) for run in runs]
    by_kl = udr([f.codes() for f in folders], [f.units()["kl"] for f in folders])
    assert max(by_kl.parts["per_model"]) < 0.8


def test_a_single_seed_has_no_score(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=1, units=4, prior=PRIORS[:2])
    assert _scored(study) is study


def test_runs_of_before_codes_were_kept_have_no_score(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:1])
    runs = study.runs["run"].tolist()
    (study.folder(runs[0]).path / "codes.npy").unlink()
    scores = _scored(study).runs.set_index("run")["udr"]
    assert np.isnan(scores[runs[0]])
    assert scores[runs[1:]].notna().all()


def test_codes_of_other_points_are_not_compared(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=2, units=4, prior=PRIORS[:1])
    folder = study.folder(study.runs["run"].iloc[0])
    np.save(folder.path / "codes.npy", folder.codes()[:20])
    assert _scored(study) is study


def test_scores_are_read_as_long_as_they_are_of_these_runs(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:2])
    assert with_udr(study) is study  # nothing has been measured yet
    found = _scored(study).runs.set_index("run")["udr"]
    file = study.store.root / "derived/udr.parquet"
    before = file.read_bytes()
    measure_udr(study)
    assert file.read_bytes() == before
    first, other = (group["run"].tolist() for _, group in study.runs.groupby("cell", sort=False))
    about = study.folder(first[0]).path / "checksums.json"
    about.write_text(about.read_text() + "\n")  # measured again
    left = with_udr(study).runs.set_index("run")["udr"]
    assert left[first].isna().all()
    assert left[other].tolist() == found[other].tolist()


def test_half_a_table_is_no_table(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=2, units=4, prior=PRIORS[:1])
    found = _scored(study).runs["udr"].tolist()
    file = study.store.root / "derived/udr.parquet"
    file.write_bytes(file.read_bytes()[:100])
    assert with_udr(study) is study
    assert _scored(study).runs["udr"].tolist() == found
