"""Which scores of a study figures and tables show."""

from __future__ import annotations

import pandas as pd

from pyrovae.analysis.active import count_of, counts_of, first_of
from pyrovae.analysis.metrics import main_scores
from pyrovae.measures.collapse.measure import (
    ACTIVE_UNITS,
    EFFECTIVE_DIMENSION,
    VARIANCE_LAW_IDLE,
    VARIANCE_LAW_USED,
)
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.measures.scores import DISENTANGLEMENT, Score, score_of

#: What stands for a score that a study does not have.
MISSING = "–"
#: A change of a score that is worth telling: it shows in the second decimal.
VISIBLE = 0.005


def disentanglement_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the disentanglement scores that some run has, in the order of the study's columns."""
    return [score for score in map(score_of, main_scores(runs)) if score.group == DISENTANGLEMENT]


def dimension_scores(runs: pd.DataFrame) -> list[Score]:
    """Return how many dimensions the code has, by every criterion that says something of its own.

    Those are the counts of :func:`pyrovae.analysis.active.counts_of`, that of Burda et al. where it
    is another in some run, and the effective dimension where all runs have one.
    """
    count, counts = count_of(runs), counts_of(runs)
    if ACTIVE_UNITS not in counts and (runs[ACTIVE_UNITS.key] != runs[count.key]).any():
        counts.append(ACTIVE_UNITS)
    known = EFFECTIVE_DIMENSION.key in runs and bool(runs[EFFECTIVE_DIMENSION.key].notna().all())
    return [*counts, EFFECTIVE_DIMENSION] if known else counts


def table_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the scores of the table, those that the study lacks among them.

    The law of variance has a column for used and one for idle units where some run is under it.
    """
    known = main_scores(runs)
    dimensions = [score.key for score in dimension_scores(runs)]
    before = [*dimensions, "elbo", *(["log_px"] if "log_px" in known else [])]
    usual = [str(metric["name"]) for metric in EvaluationSettings().metrics]
    asked = [*before, "rate", "distortion", *usual]
    rest = [key for key in known if key not in asked]
    law = [s.key for s in (VARIANCE_LAW_USED, VARIANCE_LAW_IDLE) if s.key in runs]
    lawful = [key for key in law if runs[key].notna().any()]
    scores = [score_of(key) for key in (*asked, *rest, *lawful)]
    return [each for score in scores for each in _beside(runs, score)]


def _beside(runs: pd.DataFrame, score: Score) -> list[Score]:
    """Return a score of active units before that of all, alone if they are practically the same."""
    if score.key not in runs or score.group != DISENTANGLEMENT:
        return [score]
    first = first_of(runs, score)
    apart = first != score and ((runs[first.key] - runs[score.key]).abs() > VISIBLE).any()
    return [first, score] if apart else [first]
