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


@pytest.mark.parametrize(
    ("pair", "kind", "said"),
    [
        (
            {"mean": 0.05, "low": 0.02, "high": 0.08, "positive": 0.99, "rope": 0.01},
            "supported",
            "MIG: higher with standard normal prior than with Laplace prior.",
        ),
        (
            {"mean": -0.05, "low": -0.08, "high": -0.02, "positive": 0.01, "rope": 0.01},
            "supported",
            "MIG: higher with Laplace prior than with standard normal prior.",
        ),
        (
            {"mean": 0.004, "low": 0.001, "high": 0.007, "positive": 0.99, "rope": 0.99},
            "equal",
            "MIG: the prior makes no practical difference.",
        ),
        (
            {"mean": 0.02, "low": -0.03, "high": 0.07, "positive": 0.8, "rope": 0.3},
            "open",
            "MIG: whether the prior matters is open.",
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


def test_a_sure_difference_that_does_not_matter_is_no_verdict(study: StudyResults):
    _write(study, mean=0.004, low=0.001, high=0.007, positive=1.0, rope=0.99)
    path = study.store.root / "analysis" / "contrasts.csv"
    pairs = pd.read_csv(path)
    matters = {"mean": 0.02, "low": -0.01, "high": 0.05, "positive": 0.9, "rope": 0.3}
    pd.concat([pairs, pairs.assign(**matters)]).to_csv(path)
    verdict = _only(study)
    assert (verdict.kind, verdict.probability) == ("open", 0.9)
    pd.concat([pairs, pairs.assign(**matters | {"positive": 0.97})]).to_csv(path)
    assert "Difference +0.02" in _only(study).evidence


def test_the_higher_level_comes_first_with_its_interval(study: StudyResults):
    _write(study, mean=-0.05, low=-0.08, high=-0.02, positive=0.01, rope=0.01)
    assert "Difference +0.05 (95 % 0.02 to 0.08)" in _only(study).evidence


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
