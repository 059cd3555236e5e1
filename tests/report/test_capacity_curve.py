"""The curve of a study in which nothing but latent_dim varies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import draw
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, make_study

SIZES = [2, 4, 8, 16, 32]


@pytest.fixture(scope="module")
def sizes_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    root = tmp_path_factory.mktemp("sizes") / "sizes"
    study = make_study(root, prior=PRIORS[:1], latent_dim=SIZES, seeds=2)
    gaps = {"elbo_gap": 0.5, "distortion_gap": 0.25}
    return dataclasses.replace(study, runs=study.runs.assign(**gaps))


def test_it_shows_each_training_and_what_is_recommended(sizes_study: StudyResults) -> None:
    (drawn,) = draw(present(sizes_study), "capacity_curve")
    active, *_ = drawn.figure.axes
    points = np.vstack([c.get_offsets() for c in active.collections if len(c.get_offsets()) > 1])
    shown = sizes_study.runs[["latent_dim", "used_units"]].to_numpy(dtype=float)
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, shown.tolist()))
    means = sizes_study.runs.groupby("latent_dim")["used_units"].mean()
    lines = [line for ax in drawn.figure.axes for line in ax.lines]
    assert any(
        len(line.get_xdata()) == len(SIZES) and np.allclose(line.get_ydata(), means)
        for line in lines
    )
    assert len(drawn.data) == len(SIZES) * 2
    # The made runs use 10 to 12 units where there are enough.
    told = int(drawn.caption.split("recommended number of latent units, ")[1].split(",")[0])
    assert 10 <= told <= 12


def test_what_else_varies_is_told(small_study: StudyResults) -> None:
    with pytest.raises(NothingToDraw, match="here varies: prior"):
        next(draw(present(small_study), "capacity_curve"))
