"""Which scores of a study are compared, and how they vary there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pyrovae.analysis.active import counts_of, first_of
from pyrovae.measures.collapse.measure import INFORMATIVE_UNITS, USED_UNITS
from pyrovae.measures.scores import COLLAPSE, Kind, Score, is_declared, score_of
from pyrovae.study.config.labels import is_label

#: Main scores that stand before those of metrics, in the order of reports; others stand behind.
_FIRST = ("used_units", "informative_units", "active_units", "elbo", "log_px", "rate", "distortion")
#: Columns of a table of runs that are neither scores nor labels.
_ABOUT = ("run", "cell", "seed")


def describe(key: str, values: pd.Series, *, rope: float | None = None) -> Score:
    """Return what is declared of a score, with the kind that its values allow.

    Estimates may leave the range that the quantity has: then no law of that range fits them.

    Parameters
    ----------
    key
        Its column.
    values
        Of all runs.
    rope
        Instead of the declared one.
    """
    known = np.asarray(values.dropna(), dtype=float)
    declared = score_of(key)
    kind: Kind = declared.kind
    if kind == "proportion" and not ((known >= 0) & (known <= 1)).all():
        kind = "real"
    if kind == "positive" and not (known > 0).all():
        kind = "real"
    # A width on the log scale is none of differences.
    width = declared.rope if kind == declared.kind else None
    return replace(declared, kind=kind, rope=width if rope is None else rope)


def comparable(runs: pd.DataFrame) -> list[str]:
    """Return the scores of a study that are compared unless others are asked for.

    Those are :func:`main_scores`, of the active units alone where that is known
    (:func:`pyrovae.analysis.active.first_of`). The same scores of all units stand beside them in
    tables; to compare both would be two looks at one question, and make each verdict rarer.
    """
    return [first_of(runs, score_of(key)).key for key in main_scores(runs)]


def main_scores(runs: pd.DataFrame) -> list[str]:
    """Return the scores of a study that are tabulated unless others are asked for.

    Those are the main ones that some run has; of counts of units those of
    :func:`pyrovae.analysis.active.counts_of`. Of scores that nobody has declared, such as those of
    a plug-in that is no longer installed, they are those that belong to no other.
    """
    known = [key for key in runs.columns if _is_score(runs, key) and runs[key].notna().any()]
    counts = {score.key for score in counts_of(runs)}
    others = {USED_UNITS.key, INFORMATIVE_UNITS.key} - counts
    main = [
        key
        for key in known
        if key not in others and (key in counts or score_of(key).main or _stands_alone(key, known))
    ]
    return sorted(main, key=_place)


def _is_score(runs: pd.DataFrame, key: str) -> bool:
    return key not in _ABOUT and not is_label(key) and pd.api.types.is_numeric_dtype(runs[key])


def _stands_alone(key: str, others: list[str]) -> bool:
    """Tell whether an undeclared score is no part or error of another one."""
    return not is_declared(key) and not any(key.startswith(f"{other}_") for other in others)


def _place(key: str) -> tuple[int, int]:
    """Return where a main score stands: metrics, in their own order, between the others."""
    if key in _FIRST:
        return 0, _FIRST.index(key)
    return (2 if score_of(key).group == COLLAPSE else 1), 0
