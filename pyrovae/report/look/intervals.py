"""Intervals over seeds: mean, and where the mean of infinitely many seeds may lie.

Seeds of a cell are few (five, say) and independent: the 95 % Student t interval is exact if scores
are normal over seeds, and needs no resampling, which five values hardly support. From one seed
there is no interval, and none is given from two: it would be nine times as long as their distance,
which says no more than the two values do, and would set the scale of every figure.

A score has a range: a count of units goes from none to all of them, a share from 0 to 1. The mean
over all seeds lies in it for certain, so what of an interval lies outside is cut off: the interval
covers that mean exactly as often as before.

Seeds that agree exactly leave nothing to learn their spread from, and no interval is given, where a
width of zero would claim certainty. Of counts the agreement itself tells something: if a share s of
all seeds had another count, n seeds would agree with probability (1 - s)^n, which is less than
2.5 % from s = 1 - 0.025^(1/n) on. No interval of a count is narrower to either side than what that
share makes of the mean if those seeds are off by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from pyrovae.measures.collapse.measure import EFFECTIVE_DIMENSION
from pyrovae.measures.scores import Kind, Score

#: Coverage of every interval in figures and tables.
LEVEL = 0.95
#: Seeds that an interval needs.
ENOUGH = 3
#: Column of a table of runs with the largest count that each can have.
_UNITS = "latent_dim"


def interval(
    values: pd.Series | np.ndarray, kind: Kind = "real", *, most: float = math.inf
) -> tuple[float, float]:
    """Return both ends of the interval of the mean, in the values' unit.

    Parameters
    ----------
    values
        One for each seed; missing ones (NaN) do not count.
    kind
        What the values are: see the module for what it changes. Estimates may lie outside the range
        that the quantity has; then nothing is cut.
    most
        The largest that a ``count`` or a ``positive`` quantity can be.

    Returns
    -------
    low, high
        NaN if fewer than three values are there, or if they agree exactly and are no counts.
    """
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    n = len(known)
    if n < ENOUGH or (np.ptp(known) == 0 and kind != "count"):
        return math.nan, math.nan
    tail = (1 - LEVEL) / 2
    half = float(stats.t.ppf(1 - tail, n - 1) * known.std(ddof=1) / math.sqrt(n))
    if kind == "count":
        half = max(half, 1 - tail ** (1 / n))
    mean = float(known.mean())
    bottom, top = _range(kind, most)
    if known.min() < bottom or known.max() > top:
        return mean - half, mean + half
    return within(kind, mean - half, mean + half, most=most)


def within(kind: Kind, low: float, high: float, *, most: float = math.inf) -> tuple[float, float]:
    """Return the ends of an interval within the range of what it is of; see :func:`interval`."""
    bottom, top = _range(kind, most)
    return max(low, bottom), min(high, top)


def _range(kind: Kind, most: float) -> tuple[float, float]:
    match kind:
        case "proportion":
            return 0.0, min(1.0, most)
        case "count" | "positive":
            return 0.0, most
    return -math.inf, math.inf


def summarise(
    table: pd.DataFrame, by: Sequence[str], value: str, score: Score | None = None
) -> pd.DataFrame:
    """Return mean and interval of a column for each group.

    Parameters
    ----------
    table
        Tidy: one row a seed within a group; of counts, with ``latent_dim``, the largest they can
        be.
    by
        Columns that make the groups, which keep their order of appearance.
    value
        Column to summarise.
    score
        What the column is of: intervals keep to its range. ``None`` for any real number.

    Returns
    -------
    DataFrame
        ``by``, ``mean``, ``low``, ``high`` (see :func:`interval`) and ``n``, the number of values
        that are not missing.
    """
    kind: Kind = "real" if score is None else score.kind
    # No count, and yet at most the number of units.
    of_units = kind == "count" or score == EFFECTIVE_DIMENSION
    bounded = of_units and _UNITS in table
    rows = []
    for key, group in table.groupby(list(by), sort=False, dropna=False, observed=True):
        known = group[value].dropna()
        low, high = interval(known, kind, most=group[_UNITS].max() if bounded else math.inf)
        mean = known.mean() if len(known) else math.nan
        rows.append([*key, mean, low, high, len(known)])
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n"])
