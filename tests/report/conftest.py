"""Studies that several tests look at: made once."""

from __future__ import annotations

import functools
from collections.abc import Callable

import matplotlib as mpl
import pytest

from pyrovae.analysis.udr import measure_udr
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import draw
from pyrovae.study.store.results import StudyResults
from report.made import POSTERIORS, PRIORS, compare_study, make_study


@pytest.fixture(scope="session")
def main_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Four priors, three posteriors, five seeds, 32 units; one run failed and one is missing."""
    root = tmp_path_factory.mktemp("results") / "prior_comparison"
    study = make_study(root, prior=PRIORS, posterior=POSTERIORS, fail=[3], leave_out=[7])
    compare_study(study)
    return study


@pytest.fixture(scope="session")
def main_figure(main_study: StudyResults) -> Callable[[str], Drawn]:
    """Return a function from a kind to the (first) figure of that kind of the main study."""
    return functools.cache(lambda kind: next(draw(present(main_study), kind)))


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two priors, three seeds, eight units."""
    root = tmp_path_factory.mktemp("results") / "small"
    study = make_study(root, seeds=3, units=8, prior=PRIORS[:2])
    measure_udr(study)
    return study


@pytest.fixture(scope="session")
def lone_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """One cell, one seed, no factors, vectors instead of images."""
    root = tmp_path_factory.mktemp("results") / "lone"
    return make_study(root, seeds=1, units=4, factors=False, event=(12,), prior=PRIORS[:1])


@pytest.fixture(autouse=True)
def _settings_are_left_alone():
    """No figure function may change Matplotlib for its caller."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
