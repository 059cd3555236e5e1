"""Which units count as active: those that the decoder uses, in every table, figure and verdict.

A score of a code that has been measured of the active units alone as well speaks for them: that of
all units can be made by idle ones, whose means say nothing of their scale.

Runs that version 0.1.0 measured have no such count. Beside them all runs are counted by
Var(mu) > 0.01 (Burda et al. 2016), which every version has measured, and it is said.
"""

from __future__ import annotations

import pandas as pd

from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.collapse.measure import ACTIVE_UNITS, INFORMATIVE_UNITS, USED_UNITS
from pyrovae.measures.scores import ACTIVE_ONLY, USED_ONLY, Score, score_of


def count_of(runs: pd.DataFrame) -> Score:
    """Return the count of active units that all runs of a table have."""
    return USED_UNITS if _known(runs, USED_UNITS.key) else ACTIVE_UNITS


def counts_of(runs: pd.DataFrame) -> list[Score]:
    """Return :func:`count_of`, and the number of informative units if it is another in some run."""
    count = count_of(runs)
    if count is not USED_UNITS or not _known(runs, INFORMATIVE_UNITS.key):
        return [count]
    differ = (runs[USED_UNITS.key] != runs[INFORMATIVE_UNITS.key]).any()
    return [USED_UNITS, INFORMATIVE_UNITS] if differ else [USED_UNITS]


def is_active(units: pd.DataFrame) -> pd.Series:
    """Return whether each row of a table of units is active, by one criterion for all."""
    return (units["used"] if _known(units, "used") else units["active"]).astype(bool)


def suffix_of(runs: pd.DataFrame) -> str:
    """Return with what a score's key ends that is of the active units of a table of runs alone."""
    return USED_ONLY if count_of(runs) is USED_UNITS else ACTIVE_ONLY


def first_of(runs: pd.DataFrame, score: Score) -> Score:
    """Return the score of the active units alone, or the score itself.

    It itself if that of active units is not known wherever it is, or is the same in all runs.
    """
    only = score.key + suffix_of(runs)
    if score.key not in runs or only not in runs:
        return score
    known = runs.loc[runs[score.key].notna(), [score.key, only]]
    return score_of(only) if known[only].notna().all() and not _same(known) else score


def of_all(key: str) -> str:
    """Return the key of the score of all units, given that of some units alone, or any other.

    >>> of_all("mig_used_only"), of_all("mig")
    ('mig', 'mig')
    """
    return key.removesuffix(USED_ONLY).removesuffix(ACTIVE_ONLY)


def criterion(table: pd.DataFrame) -> str:
    """Return by which criterion units of a table of runs, units or records count as active."""
    if _known(table, USED_UNITS.key) or _known(table, "used"):
        return f"{USED_UNITS.title}: {USED_UNITS.meaning}"
    return (
        f"Active are units with Var(mu) > {ACTIVE_VARIANCE} (Burda et al. 2016), as some of these "
        "runs were measured by an older version: running the study again measures which units are "
        "used, without training."
    )


def _same(pair: pd.DataFrame) -> bool:
    return bool((pair.iloc[:, 0] == pair.iloc[:, 1]).all())


def _known(table: pd.DataFrame, column: str) -> bool:
    return column in table and bool(table[column].notna().all())
