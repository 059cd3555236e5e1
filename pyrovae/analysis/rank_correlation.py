"""Rank correlation of two scores over the runs of a study, with an interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

#: Runs without which a rank correlation says nothing.
ENOUGH_RUNS = 6
#: Coverage of the intervals, and how many resamples they come from.
LEVEL, _RESAMPLES = 0.95, 1000


class RankCorrelation(NamedTuple):
    """Spearman's correlation, the ends of its interval (NaN where there is none), and n runs."""

    correlation: float
    low: float
    high: float
    n: int


def rank_correlation(runs: pd.DataFrame, a: str, b: str) -> RankCorrelation:
    """Correlate the ranks of two columns of a study's runs.

    The interval is the percentile bootstrap's over cells: seeds of a cell are drawn together, as
    they are alike in all but their seed, and counting each as evidence of its own would promise
    too much. With a single cell, runs are drawn.

    Parameters
    ----------
    runs
        One row a run, with a column ``cell``.
    a, b
        Names of columns; runs that lack one do not count.

    Returns
    -------
    RankCorrelation
        NaN if one of the columns is constant or there are fewer than :data:`ENOUGH_RUNS` runs.
    """
    known = runs[["cell", a, b]].replace([math.inf, -math.inf], math.nan).dropna()
    x, y = known[a].to_numpy(float), known[b].to_numpy(float)
    n = len(known)
    if n < ENOUGH_RUNS:
        return RankCorrelation(math.nan, math.nan, math.nan, n)
    cells = known["cell"].to_numpy() if known["cell"].nunique() > 1 else np.arange(n)
    groups = [np.flatnonzero(cells == cell) for cell in pd.unique(cells)]
    # A generator of its own: the same results give the same report.
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        drawn.append(_spearman(x[chosen], y[chosen]))
    resampled = np.array(drawn)
    resampled = resampled[~np.isnan(resampled)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail]) if len(resampled) else (math.nan,) * 2
    return RankCorrelation(_spearman(x, y), float(low), float(high), n)


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
