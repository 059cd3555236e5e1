"""The scores that a page shows, in groups: which, under what title, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pyrovae.measures.disentanglement import METRICS
from pyrovae.report.look import names
from pyrovae.report.look.scores import Score, table_scores

#: Which way is better, for scores where one way is; others are sorted but not judged.
_BETTER_HIGH = {"elbo", "log_px"}
_BETTER_LOW = {"variance_law_error"}

_MEANINGS = {
    "active_units": "Latent units u with Var_x(E[z_u|x]) > 0.01, on the test set.",
    "elbo": "Evidence lower bound on the test set, for each datum: minus rate minus distortion.",
    "rate": "KL(q(z|x) || p(z)) on the test set, for each datum.",
    "distortion": "Minus the expected log-likelihood of the test set, for each datum.",
    "log_px": "Importance-weighted bound on log p(x) of the test set (Burda et al. 2016).",
    "variance_law_error": (
        "Median over units of |Var_x(E[z_u|x]) + E_x(Var[z_u|x]) - 1|; theory puts it at 0 for a "
        "standard normal prior only."
    ),
}
#: Of scores that no table has a column for.
_TITLES = {
    "log_px": "log p(x), bound",
    "exact_log_px": "log p(x), exact",
    "elbo": "ELBO",
    "mutual_information": "Mutual information, lower bound",
    "mutual_information_upper": "Mutual information, upper bound",
    "mutual_information_ceiling": "Largest that the lower bound can be (log of the points)",
    "aggregate_kl": "Aggregate KL, upper bound",
    "total_correlation": "Total correlation, upper bound",
    "total_correlation_lower": "Total correlation, lower bound",
}


@dataclass(frozen=True)
class Column:
    """A score in the run table.

    Attributes
    ----------
    key
        Its name in the store.
    title, unit
        For headings; the unit may be empty.
    meaning
        One line, for the glossary and as a hint on the heading.
    better
        ``"high"``, ``"low"`` or ``""``.
    """

    key: str
    title: str
    unit: str
    meaning: str
    better: str


def columns(runs: pd.DataFrame) -> list[Column]:
    """Return the columns of a study's run table: the report's scores that some run has."""
    return [_column(s) for s in table_scores(runs) if s.key in runs and runs[s.key].notna().any()]


def _column(score: Score) -> Column:
    if score.key in METRICS:
        return Column(score.key, score.title, "", METRICS.summary(score.key), "high")
    better = "high" if score.key in _BETTER_HIGH else "low" if score.key in _BETTER_LOW else ""
    unit = "" if score.unit == "count" else score.unit
    return Column(score.key, score.title, unit, _MEANINGS.get(score.key, ""), better)


#: Prefix or whole name of a score to the group it is shown in; the first that fits decides.
_GROUPS = (
    ("posterior_", "Posterior diagnostics"),
    ("train_active", "Collapse, training set"),
    ("train_", "Training set"),
    ("elbo_gap", "Gap between training and test set"),
    ("rate_gap", "Gap between training and test set"),
    ("distortion_gap", "Gap between training and test set"),
    ("elbo", "Test set"),
    ("rate", "Test set"),
    ("distortion", "Test set"),
    ("log_px", "Test set"),
    ("exact_log_px", "Test set"),
    ("active_", "Collapse"),
    ("inactive_", "Collapse"),
    ("criteria_", "Collapse"),
    ("effective_dimension", "Collapse"),
    ("variance_law", "Collapse"),
    ("mutual_information", "Information in the code"),
    ("aggregate_kl", "Information in the code"),
    ("total_correlation", "Information in the code"),
    ("dimension_wise_kl", "Information in the code"),
)
#: What nothing above fits.
_DISENTANGLEMENT, _OTHER = "Disentanglement", "Other"
#: Groups in the order in which they are shown.
_PLACES = (
    "Test set",
    "Training set",
    "Gap between training and test set",
    "Collapse",
    "Collapse, training set",
    "Information in the code",
    _DISENTANGLEMENT,
    "Posterior diagnostics",
    _OTHER,
)
#: Scores that are an error of another: shown beside it.
_ERRORS = ("_se", "_sd")


def score_groups(
    scores: dict[str, float], shown: list[Column]
) -> dict[str, list[tuple[str, float, float | None]]]:
    """Return all scores of a run as ``(title, value, standard error)``, by what they are about.

    The groups go by the score's name; one that is not known here is shown under ``Other``.
    """
    titles = {column.key: column.title for column in shown} | _TITLES
    groups: dict[str, list[tuple[str, float, float | None]]] = {}
    for key, value in scores.items():
        if key.endswith(_ERRORS) and key[:-3] in scores:
            continue
        error = next((scores[key + e] for e in _ERRORS if key + e in scores), None)
        groups.setdefault(_group(key), []).append((_title(key, titles), value, error))
    return {group: groups[group] for group in sorted(groups, key=_PLACES.index)}


def _title(key: str, titles: dict[str, str]) -> str:
    """Return a title; ``train_elbo`` and ``dci_completeness`` are titled after what they extend."""
    plain = key.removeprefix("train_").removeprefix("posterior_").removesuffix("_gap")
    if plain in titles:
        return titles[plain]
    for metric in sorted(METRICS, key=len, reverse=True):
        if plain.startswith(f"{metric}_"):
            part = names.words(plain.removeprefix(f"{metric}_"))
            return f"{titles.get(metric, names.words(metric)).split()[0]}: {part}"
    told = names.words(plain)
    return told[:1].upper() + told[1:]


def _group(key: str) -> str:
    for prefix, group in _GROUPS:
        if key.startswith(prefix):
            return group
    if any(key == metric or key.startswith(f"{metric}_") for metric in METRICS):
        return _DISENTANGLEMENT
    return _OTHER
