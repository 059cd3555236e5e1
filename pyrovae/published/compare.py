"""A published table beside a study's runs: reproduced, not, or not to be said."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pyrovae.core.errors import PyrovaeError
from pyrovae.published.tables import PublishedRow, PublishedTable
from pyrovae.study.store.results import StudyResults

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
UNDECIDED = "cannot be said"
LEVEL = 0.95


@dataclass(frozen=True)
class Compared:
    """A paper's figure beside that of the runs that it is about.

    Attributes
    ----------
    label
        What tells these runs from the table's others.
    row
        The paper's.
    ours
        The quantity of each finished run, as the paper has it; ``(n,)``.
    unsettled
        How many of these runs have not settled by this toolkit's rule. A recipe says itself when
        to stop, so that nothing is refused for it.
    verdict, reason
        :data:`REPRODUCED` if our mean is within two published standard deviations and the half
        width of our interval of the paper's figure; :data:`NOT_REPRODUCED` if it is not;
        :data:`UNDECIDED` if fewer than two runs are there, or if our interval is wider than the
        table's ``widest``. For tables ``by: order`` there is none.
    """

    label: str
    row: PublishedRow
    ours: np.ndarray
    unsettled: int
    verdict: str
    reason: str = ""

    @property
    def mean(self) -> float:
        """Our mean over seeds; NaN without runs."""
        return float(self.ours.mean()) if len(self.ours) else float("nan")

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of our mean (Student's t over seeds); NaN for fewer than 2."""
        return half_width(self.ours)


@dataclass(frozen=True)
class Ordered:
    """Whether figures of a table stand in the paper's order.

    Attributes
    ----------
    pairs
        A row for each pair of rows whose published figures differ: ``lower``, ``higher`` (labels,
        as the paper has them), ``difference`` (ours, positive where it agrees), ``low``, ``high``.
    verdict, reason
        :data:`REPRODUCED` if all intervals of differences lie above 0, jointly with 95 %
        (Bonferroni); :data:`NOT_REPRODUCED` if one lies below; else :data:`UNDECIDED`.
    """

    pairs: pd.DataFrame
    verdict: str
    reason: str = ""


def half_width(values: np.ndarray, level: float = LEVEL) -> float:
    """Return half the width of Student's interval of a mean; NaN for fewer than two values."""
    n = len(values)
    if n < 2:
        return float("nan")
    return float(stats.t.ppf(0.5 + level / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))


def compare(table: PublishedTable, study: StudyResults) -> tuple[list[Compared], Ordered | None]:
    """Put a published table beside a study's finished runs.

    Returns
    -------
    list of Compared, Ordered or None
        One for each of the table's rows; the order, for tables that ask for it.

    Raises
    ------
    PyrovaeError
        If the runs have no such quantity.
    """
    if len(study.runs) and table.quantity not in study.runs:
        raise PyrovaeError(f"study {study.name}: its runs have no {table.quantity}")
    found = [_compared(table, row, study) for row in table.rows]
    return found, ordered(table, found) if table.by == "order" else None


def _compared(table: PublishedTable, row: PublishedRow, study: StudyResults) -> Compared:
    matches = table.about(row)
    runs = [run for run in study.runs.get("run", []) if matches(study.configs[run])]
    values = study.runs.set_index("run").loc[runs, table.quantity] if runs else pd.Series([])
    ours = table.turned(values.to_numpy(dtype=float))
    unsettled = len(set(runs) & set(study.settling.unsettled))
    verdict, reason = _verdict(table, row, ours) if table.by == "value" else ("", "")
    return Compared(_label(row, study, runs), row, ours, unsettled, verdict, reason)


def _verdict(table: PublishedTable, row: PublishedRow, ours: np.ndarray) -> tuple[str, str]:
    if not np.isfinite(ours).all():
        return UNDECIDED, "a run has no finite value"
    if len(ours) < 2:
        return UNDECIDED, f"{len(ours)} finished run{'' if len(ours) == 1 else 's'}; needs two"
    width = half_width(ours)
    assert table.widest is not None
    off = abs(float(ours.mean()) - row.value)
    if off > 2 * row.sd + width:
        return NOT_REPRODUCED, f"off by {off:.3g}, more than {2 * row.sd + width:.3g}"
    if width > table.widest:
        return UNDECIDED, f"our interval is ± {width:.3g}, wider than {table.widest:g}"
    return REPRODUCED, ""


def ordered(table: PublishedTable, found: Sequence[Compared]) -> Ordered:
    """Return whether figures stand in the paper's order; one of ``found`` for each row."""
    both = [
        (a, b) if a.row.value < b.row.value else (b, a)
        for a, b in itertools.combinations(found, 2)
        if a.row.value != b.row.value
    ]
    level = 1 - (1 - LEVEL) / len(both)
    rows = []
    for lower, higher in both:
        low, high = _difference(higher.ours, lower.ours, level)
        between = higher.mean - lower.mean
        rows.append((lower.label, higher.label, between, low, high))
    pairs = pd.DataFrame(rows, columns=["lower", "higher", "difference", "low", "high"])
    if (pairs["high"] < 0).any():
        worst = pairs.loc[pairs["high"].idxmin()]
        return Ordered(
            pairs, NOT_REPRODUCED, f"{worst['lower']} is above {worst['higher']}, not below"
        )
    if (pairs["low"] > 0).all():
        return Ordered(pairs, REPRODUCED)
    open_pairs = int((~(pairs["low"] > 0)).sum())
    return Ordered(pairs, UNDECIDED, f"{open_pairs} of {len(pairs)} pairs are not told apart")


def _difference(a: np.ndarray, b: np.ndarray, level: float) -> tuple[float, float]:
    """Return Welch's interval of a difference of means; NaN for fewer than two values each."""
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan"), float("nan")
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        # Counts may agree in all seeds: no spread was seen, which is not the same as none.
        return float("nan"), float("nan")
    found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    return float(found.low), float(found.high)


def _label(row: PublishedRow, study: StudyResults, runs: Sequence[str]) -> str:
    """Return what tells runs from the study's others, in words; what was asked for, without any."""
    told = [study.label(runs[0], part).phrase() for part in study.varying()] if runs else []
    return ", ".join(told) or ", ".join(f"{key}: {value}" for key, value in row.where.items())
