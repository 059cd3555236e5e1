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
    about["factors"] = ["prior"]
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


SURE = {"mean": 0.05, "low": 0.02, "high": 0.08, "rope": 0.01, "crossing": 0.0}


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
            | {"above": 0.57, "below": 0.0, "jointly": 0.57, "crossing": 0.0},
            "open",
            "MIG: whether the prior matters is open.",
        ),
        (
            {"mean": 0.004, "low": 0.001, "high": 0.007, "positive": 0.99, "rope": 0.99}
            | {"above": 0.01, "below": 0.0, "jointly": 0.01, "crossing": 0.0},
            "equal",
            "MIG: the prior makes no practical difference.",
        ),
        (
            SURE | {"above": 0.99, "below": 0.0, "jointly": 0.99, "crossing": 0.8},
            "open",
            "MIG: whether standard normal prior or Laplace prior is higher turns with the other "
            "factors.",
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
