"""Which scores of a study figures and tables show."""

from __future__ import annotations

import pandas as pd

from pyrovae.analysis.active import counts_of
from pyrovae.analysis.metrics import comparable
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.measures.scores import DISENTANGLEMENT, Score, score_of

#: What stands for a score that a study does not have.
MISSING = "–"


def disentanglement_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the disentanglement scores that some run has, in the order of the study's columns."""
    return [score for score in map(score_of, comparable(runs)) if score.group == DISENTANGLEMENT]


def table_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the scores of the table, those that the study lacks among them."""
    known = comparable(runs)
    counts = [score.key for score in counts_of(runs)]
    before = [*counts, "elbo", *(["log_px"] if "log_px" in known else [])]
    usual = [str(metric["name"]) for metric in EvaluationSettings().metrics]
    asked = [*before, "rate", "distortion", *usual]
    rest = [key for key in known if key not in asked and key != "variance_law_error"]
    return [score_of(key) for key in (*asked, *rest, "variance_law_error")]
