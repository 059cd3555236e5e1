"""Sentences from posterior probabilities: none is said that they do not support."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pyrovae.analysis.study import digest
from pyrovae.report.look.presented import present
from pyrovae.report.page import render_page
from pyrovae.report.page.verdicts import Verdict, verdicts
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, make_study


@pytest.fixture
def study(tmp_path: Path) -> StudyResults:
    return make_study(tmp_path / "judged", seeds=2, units=4, prior=PRIORS[:2])


def _write(study: StudyResults, metric: str = "mig", digest: str = "", **pair: float) -> None:
    """Write an analysis that compares the two priors in one metric."""
    root = study.store.root / "analysis"
    root.mkdir(exist_ok=True)
    entry = {"kind": "proportion", "better": "higher", "rope": 0.01, "status": "passed"}
    if not pair:
        entry |= {"status": "refused", "reason": "R-hat is 1.2"}
    about = {"runs": len(study.runs), "metrics": {metric: entry}, "digest": digest}
    about["factors"] = ["prior", "posterior"]
    (root / "analysis.json").write_text(json.dumps(about))
    row = {"metric": metric, "factor": "prior", "a": "standard_normal", "b": "laplace", **pair}
    pd.DataFrame([row] if pair else [], columns=list(row)).to_csv(root / "contrasts.csv")


def _only(study: StudyResults) -> Verdict:
    found = verdicts(present(study))
    assert found is not None
    return found.cards[0].verdicts[0]


def test_no_analysis_no_verdict(study: StudyResults):
    assert verdicts(present(study)) is None
    assert "No verdict yet" in render_page(study)


SURE = {"mean": 0.05, "low": 0.02, "high": 0.08, "rope": 0.01, "crossing": 0.0, "everywhere": 0.0}


@pytest.mark.parametrize(
    ("pair", "kind", "said"),
    [
        (
            SURE | {"above": 0.99, "below": 0.0, "jointly": 0.99},
            "supported",
            "MIG: higher with standard normal prior than with Laplace prior.",
        ),
        (
            SURE
            | {"mean": -0.05, "low": -0.08, "high": -0.02}
            | {"above": 0.0, "below": 0.99, "jointly": 0.99},
            "supported",
            "MIG: higher with Laplace prior than with standard normal prior.",
        ),
        (
            # The case of the issue: beyond zero with 0.95, and as likely as not of no matter.
            {"mean": 0.0123, "low": -0.0009, "high": 0.0266, "positive": 0.96, "rope": 0.43}
            | {"above": 0.57, "below": 0.0, "jointly": 0.57, "crossing": 0.0, "everywhere": 0.2},
            "open",
            "MIG: whether the prior matters is open.",
        ),
        (
            {"mean": 0.004, "low": 0.001, "high": 0.007, "positive": 0.99, "rope": 0.99}
            | {"above": 0.01, "below": 0.0, "jointly": 0.01, "crossing": 0.0, "everywhere": 0.96},
            "equal",
            "MIG: the prior makes no practical difference.",
        ),
        (
            SURE | {"above": 0.99, "below": 0.0, "jointly": 0.99, "crossing": 0.8},
            "open",
            "MIG: whether standard normal prior or Laplace prior is higher may turn with the "
            "posterior.",
        ),
    ],
)
def test_says_what_the_posterior_supports(
    study: StudyResults, pair: dict[str, float], kind: str, said: str
):
    _write(study, **pair)
    verdict = _only(study)
    assert (verdict.kind, verdict.statement) == (kind, said)
    assert said in render_page(study)


def test_what_is_said_of_several_pairs_holds_together(study: StudyResults):
    _write(study, **SURE, above=0.99, below=0.0, jointly=0.99)
    path = study.store.root / "analysis" / "contrasts.csv"
    pairs = pd.read_csv(path)
    more = [
        pairs.assign(b="student_t", above=0.98, jointly=0.96),
        # As sure by itself, but not together with the others.
        pairs.assign(a="laplace", b="student_t", above=0.97, jointly=0.93),
    ]
    pd.concat([pairs, *more]).to_csv(path)
    verdict = _only(study)
    assert verdict.statement == (
        "MIG: higher with standard normal prior than with Laplace prior and Student t prior."
    )
    assert verdict.probability == 0.96
    assert "all of this holds" in verdict.evidence


def _differs_within(study: StudyResults, *rows: tuple[str, float]) -> None:
    """Add what is known within each posterior: its name, and the difference of the two priors."""
    table = pd.DataFrame(
        {
            "metric": "mig",
            "factor": "prior",
            "where": [json.dumps({"posterior": name}) for name, _ in rows],
            "a": "standard_normal",
            "b": "laplace",
            "mean": [difference for _, difference in rows],
            "low": [difference - 0.02 for _, difference in rows],
            "high": [difference + 0.02 for _, difference in rows],
            "above": [float(difference > 0) for _, difference in rows],
            "below": [float(difference < 0) for _, difference in rows],
            "jointly": [0.99 if abs(difference) > 0.03 else 0.4 for _, difference in rows],
        }
    )
    table.to_csv(study.store.root / "analysis" / "within.csv", index=False)


OPEN = SURE | {"mean": 0.01, "low": -0.01, "above": 0.5, "below": 0.1, "jointly": 0.5}


def test_a_difference_in_one_cell_alone_is_told_with_the_cell(study: StudyResults):
    _write(study, **OPEN)
    _differs_within(study, ("mean_field_normal", 0.06), ("full_rank_normal", 0.001))
    verdict = _only(study)
    assert verdict.kind == "supported"
    assert verdict.statement == (
        "MIG: higher under mean-field normal posterior with standard normal prior than with "
        "Laplace prior; on average over the posterior open."
    )
    assert "over Laplace prior: +0.06" in verdict.evidence


def test_an_average_of_opposite_differences_is_not_told(study: StudyResults):
    """Practically equal on average, and surely not in the cells."""
    _write(study, **OPEN | {"mean": 0.0, "rope": 0.99, "jointly": 0.0, "crossing": 0.99})
    _differs_within(study, ("mean_field_normal", 0.06), ("full_rank_normal", -0.06))
    verdict = _only(study)
    assert "is higher turns with the posterior" in verdict.statement
    assert "no practical difference" not in verdict.statement
    assert "says nothing of either" in verdict.evidence
    for each in (
        "under mean-field normal posterior with standard normal prior than with Laplace prior",
        "under full-rank normal posterior with Laplace prior than with standard normal prior",
    ):
        assert each in verdict.evidence


def test_equal_on_average_is_not_equal_everywhere(study: StudyResults):
    _write(study, **OPEN | {"mean": 0.0, "rope": 0.97, "jointly": 0.0, "everywhere": 0.5})
    verdict = _only(study)
    assert verdict.statement == (
        "MIG: the prior makes no practical difference on average over the posterior."
    )
    assert "for every posterior with 0.50" in verdict.evidence


def test_the_more_is_looked_at_the_surer_a_statement_has_to_be(study: StudyResults):
    """0.96 is enough for one score and not for four: all together are to hold with 95 %."""
    _write(study, **SURE | {"above": 0.96, "below": 0.0, "jointly": 0.96})
    assert _only(study).kind == "supported"
    path = study.store.root / "analysis" / "contrasts.csv"
    one = pd.read_csv(path)
    pd.concat([one.assign(metric=name) for name in ("mig", "dci", "elbo", "rate")]).to_csv(path)
    assert _only(study).kind == "open"
    found = verdicts(present(study))
    assert found is not None
    assert "98.75 %" in found.basis


def test_beyond_equivalence_is_not_enough_if_the_interval_holds_zero(study: StudyResults):
    _write(study, **SURE | {"low": -0.001, "above": 0.96, "below": 0.0, "jointly": 0.96})
    assert _only(study).kind == "open"


def test_the_higher_level_comes_first_with_its_interval(study: StudyResults):
    _write(
        study,
        **SURE | {"mean": -0.05, "low": -0.08, "high": -0.02},
        above=0.0,
        below=0.99,
        jointly=0.99,
    )
    assert "over standard normal prior: +0.05 (95 % 0.02 to 0.08)" in _only(study).evidence


def test_an_analysis_of_an_older_version_gives_no_verdict(study: StudyResults):
    _write(study, mean=0.05, low=0.02, high=0.08, positive=0.99, rope=0.01)
    assert _only(study).kind == "refused"
    assert "analyse them again" in _only(study).evidence


def test_verdicts_about_other_runs_are_told_from_those_about_these(study: StudyResults):
    stale = "has changed since it was analysed"
    _write(study)
    assert stale in render_page(study)
    _write(study, digest=digest(study.runs, ["prior"], ["mig"]))
    assert stale not in render_page(study)


def test_refused_chains_give_no_conclusion(study: StudyResults):
    _write(study)
    verdict = _only(study)
    assert (verdict.kind, verdict.probability) == ("refused", None)
    assert "R-hat is 1.2" in verdict.evidence
