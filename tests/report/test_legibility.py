"""No text runs into another or over the edge, whatever a study compares; letters are not tiny."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from pyrovae.analysis import load_analysis
from pyrovae.analysis.rank_correlation import ENOUGH_RUNS
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.look.style import PAPER
from pyrovae.report.study.gallery import FIGURES, draw
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, compare_study, make_study
from report.texts import cut_off, drawn_texts, overlaps

BETAS = [{"name": "beta", "beta": beta} for beta in (0.5, 1.0, 4.0, 16.0)]
STUDIES = {
    "prior alone": {"prior": PRIORS, "seeds": 2},
    "nothing varies": {"prior": PRIORS[:1], "seeds": 1},
    "latent_dim": {"latent_dim": [2, 4, 8, 16, 32], "seeds": 2},
    "objective": {"objective": ["elbo", *BETAS], "seeds": 1},
    "three labels": {
        "prior": PRIORS[1:],
        "latent_dim": [4, 16],
        "dataset": ["sprites", "digits"],
        "seeds": 1,
    },
    "two long labels": {  # prior_comparison.yaml's own
        "prior": [
            {"name": "generalized_normal", "p": 4.0},
            {"name": "student_t", "df": 10.0, "standardized": True},
        ],
        "posterior": ["mean_field_normal", "full_rank_normal"],
        "seeds": 1,
    },
    "long names": {
        "prior": PRIORS[-1:],
        "likelihood": ["bernoulli", "gaussian"],
        "network": ["mlp", "conv", {"name": "mlp", "hidden": [512, 512, 512]}],
        "seeds": 1,
    },
}


#: Kinds that are drawn from what ``pyrovae study analyse`` finds.
ANALYSED = ("effects", "interactions", "performance_profiles")


@pytest.fixture(scope="module", params=STUDIES)
def any_study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StudyResults:
    study = make_study(tmp_path_factory.mktemp("any") / "study", **STUDIES[request.param])
    compare_study(study)
    return study


@pytest.mark.parametrize("kind", FIGURES)
def test_texts_stay_apart_and_on_the_page(any_study: StudyResults, kind: str) -> None:
    if kind in ("metric_correlation", "sparsity") and len(any_study.runs) < ENOUGH_RUNS:
        pytest.skip("a correlation takes more runs")
    if kind == "settling":  # Made runs have no bound along training: see test_settling_figure.
        with pytest.raises(NothingToDraw, match="no held-out bound"):
            next(draw(present(any_study), kind))
        return
    if kind in ANALYSED and not any_study.varying():
        with pytest.raises(NothingToDraw, match="nothing varies"):
            next(draw(present(any_study), kind))
        return
    if kind == "interactions" and len(load_analysis(any_study).factors) < 2:
        with pytest.raises(NothingToDraw, match="no two factors"):
            next(draw(present(any_study), kind))
        return
    # Traversals are alike: two are enough.
    for drawn in itertools.islice(draw(present(any_study), kind), 2):
        _check(drawn.figure)


@pytest.mark.parametrize("kind", [kind for kind in FIGURES if kind != "settling"])
def test_texts_of_the_main_study_stay_apart(main_figure: Callable[[str], Drawn], kind: str) -> None:
    _check(main_figure(kind).figure)


def _check(figure: Figure) -> None:
    assert overlaps(figure) == []
    assert cut_off(figure) == []
    assert figure.get_figwidth() in (PAPER.column, PAPER.text)
    assert figure.get_figheight() < 9  # A page.
    assert min(size for _, _, size in drawn_texts(figure)) >= 6  # Points.


def test_vectors_are_no_images_but_have_all_other_figures(lone_study: StudyResults) -> None:
    for kind in ("traversals", "reconstructions", "samples"):
        with pytest.raises(NothingToDraw, match=r"\(12,\)"):
            list(draw(present(lone_study), kind))
    for kind in ("active_units", "kl_profile", "rate_distortion", "evolution"):
        (drawn,) = draw(present(lone_study), kind)
        assert overlaps(drawn.figure) == []


def test_the_check_finds_texts_that_collide_and_leave_the_page() -> None:
    figure = Figure(figsize=(2, 2))
    figure.text(0.5, 0.5, "one")
    figure.text(0.52, 0.5, "two")
    figure.text(0.9, 0.9, "outside")
    assert overlaps(figure) == [("one", "two")]
    assert cut_off(figure) == ["outside"]
