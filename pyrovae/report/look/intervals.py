"""Intervals over seeds: mean, and where the mean of infinitely many seeds may lie.

Seeds of a cell are few (five, say) and independent: the 95 % Student t interval is exact if scores
are normal over seeds, and needs no resampling, which five values hardly support. It may leave the
range of a bounded score; it is not cut there, for that would pretend to know more. From one seed
there is no interval, and none is given from two: it would be nine times as long as their distance,
which says no more than the two values do, and would set the scale of every figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

#: Coverage of every interval in figures and tables.
LEVEL = 0.95
#: Seeds that an interval needs.
ENOUGH = 3


def half_width(values: pd.Series | np.ndarray, level: float = LEVEL) -> float:
    """Return half the width of the Student t interval of the mean, in the values' unit.

    Parameters
    ----------
    values
        One for each seed; missing ones (NaN) do not count.
    level
        Coverage.

    Returns
    -------
    float
        NaN if fewer than three values are there.
    """
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if len(known) < ENOUGH:
        return float("nan")
    error = known.std(ddof=1) / np.sqrt(len(known))
    return float(stats.t.ppf((1 + level) / 2, len(known) - 1) * error)


def bounds(values: pd.Series | np.ndarray) -> tuple[float, float]:
    """Return both ends of the interval: what seaborn takes as ``errorbar``."""
    mean, half = float(np.nanmean(values)), half_width(values)
    return mean - half, mean + half


def summarise(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return mean and interval of a column for each group.

    Parameters
    ----------
    table
        Tidy: one row a seed within a group.
    by
        Columns that make the groups, which keep their order of appearance.
    value
        Column to summarise.

    Returns
    -------
    DataFrame
        ``by``, ``mean``, ``low``, ``high`` (NaN below three values) and ``n``, the number of values
        that are not missing.
    """
    grouped = table.groupby(list(by), sort=False, dropna=False, observed=True)[value]
    found = grouped.agg(["mean", "count", half_width]).reset_index()
    found["low"] = found["mean"] - found["half_width"]
    found["high"] = found["mean"] + found["half_width"]
    return found.rename(columns={"count": "n"})[[*by, "mean", "low", "high", "n"]]
