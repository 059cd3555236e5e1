"""The scores of a run that figures and tables show: titles, units, and which are there."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pyrovae.analysis.udr import UDR
from pyrovae.measures.disentanglement import METRICS
from pyrovae.report.look import names


@dataclass(frozen=True)
class Score:
    """A number that each run has.

    Attributes
    ----------
    key
        Its column in :attr:`StudyResults.runs`.
    title
        For headings.
    unit
        ``"nats"``, ``"count"`` or ``""`` for a pure number.
    """

    key: str
    title: str
    unit: str = ""

    @property
    def axis_label(self) -> str:
        """Title with unit, for an axis."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


#: What stands for a score that a study does not have.
MISSING = "–"

ACTIVE_UNITS = Score("active_units", "Active units", "count")
ELBO = Score("elbo", "ELBO", "nats")
LOG_PX = Score("log_px", "log p(x)", "nats")
RATE = Score("rate", "Rate", "nats")
DISTORTION = Score("distortion", "Distortion", "nats")
VARIANCE_LAW = Score("variance_law_error", "Variance-law error")

#: Scores of dependence between codes, in nats; of these, less is better.
_IN_NATS = ("gaussian_total_correlation", "average_mutual_information")

_METRIC_TITLES = {
    "mig": "MIG",
    "dci": "DCI disent.",
    "factor_vae": "FactorVAE",
    "beta_vae": "BetaVAE",
    "mig_sup": "MIG-sup",
    "sap": "SAP",
    "irs": "IRS",
    "dcimig": "DCIMIG",
    "jemmig": "JEMMIG",
    "udr": "UDR",
}


def disentanglement_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the disentanglement scores that some run has, in the order of the study's columns."""
    return [
        score_of(key)
        for key in runs.columns
        if (key in METRICS or key == UDR) and runs[key].notna().any()
    ]


def score_of(key: str) -> Score:
    """Return what is known of any score."""
    for score in (ACTIVE_UNITS, ELBO, LOG_PX, RATE, DISTORTION, VARIANCE_LAW):
        if score.key == key:
            return score
    title = _METRIC_TITLES.get(key) or names.words(key).capitalize()
    return Score(key, title, "nats" if key in _IN_NATS else "")


def table_scores(runs: pd.DataFrame) -> list[Score]:
    """Return the scores of the table, those that the study lacks among them."""
    usual = [Score(key, _METRIC_TITLES[key]) for key in ("mig", "dci", "factor_vae")]
    more = [s for s in disentanglement_scores(runs) if s not in usual]
    bound = [LOG_PX] if LOG_PX.key in runs and runs[LOG_PX.key].notna().any() else []
    return [ACTIVE_UNITS, ELBO, *bound, RATE, DISTORTION, *usual, *more, VARIANCE_LAW]
