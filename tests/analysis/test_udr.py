"""UDR of the runs of a study."""

from __future__ import annotations

import numpy as np
import pytest
from report.made import PRIORS, make_study

from pyrovae.analysis.udr import with_udr
from pyrovae.measures.disentanglement import udr


def test_each_run_is_scored_against_the_other_seeds_of_its_cell(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=6, prior=PRIORS[:2])
    found = with_udr(study)
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
    scores = with_udr(study).runs.set_index("run")["udr"]
    assert scores[first].tolist() == pytest.approx([0.9] * 3, abs=0.05)  # 1 less the lasso's 0.1
    assert scores[second].max() < 0.7


def test_a_single_seed_has_no_score(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=1, units=4, prior=PRIORS[:2])
    assert with_udr(study) is study


def test_runs_of_before_codes_were_kept_have_no_score(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:1])
    runs = study.runs["run"].tolist()
    (study.folder(runs[0]).path / "codes.npy").unlink()
    scores = with_udr(study).runs.set_index("run")["udr"]
    assert np.isnan(scores[runs[0]])
    assert scores[runs[1:]].notna().all()


def test_codes_of_other_points_are_not_compared(tmp_path) -> None:
    study = make_study(tmp_path / "s", seeds=2, units=4, prior=PRIORS[:1])
    folder = study.folder(study.runs["run"].iloc[0])
    np.save(folder.path / "codes.npy", folder.codes()[:20])
    assert with_udr(study) is study
