"""Rank correlation of two scores over the runs of a study, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

#: Runs without which a rank correlation says nothing.
ENOUGH_RUNS = 6
#: Cells (runs, if there is but one cell) that an interval needs. Of two cells every other resample
#: is one cell twice, of three every ninth: the interval's ends are then made by accident. Of six,
#: one of 7,776 is, and there are 462 different resamples to find the outer 2.5 % among.
ENOUGH_CELLS = 6
#: Coverage of the intervals, and how many resamples they come from.
LEVEL, _RESAMPLES = 0.95, 1000


class RankCorrelation(NamedTuple):
    """Spearman's correlation and its interval.

    Attributes
    ----------
    correlation, low, high
        NaN where there is none.
    n, cells
        Runs and cells that have both scores.
    no_interval
        Why there is none; empty if there is one.
    """

    correlation: float
    low: float
    high: float
    n: int
    cells: int
    no_interval: str


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
        NaN if one of the columns is constant or there are fewer than :data:`ENOUGH_RUNS` runs; no
        interval from fewer than :data:`ENOUGH_CELLS` cells.
    """
    return _correlated(_known(runs, a, b), a, b, _spearman)


def _correlated(
    known: pd.DataFrame,
    a: str,
    b: str,
    correlate: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> RankCorrelation:
    x, y = known[a].to_numpy(float), known[b].to_numpy(float)
    n, n_cells = len(known), known["cell"].nunique()

    def without(correlation: float, reason: str) -> RankCorrelation:
        return RankCorrelation(correlation, math.nan, math.nan, n, n_cells, reason)

    if n < ENOUGH_RUNS:
        return without(math.nan, f"{n} runs, fewer than {ENOUGH_RUNS}")
    correlation = correlate(x, y)
    if math.isnan(correlation):
        return without(correlation, "a score is the same in all runs")
    if 1 < n_cells < ENOUGH_CELLS:
        return without(correlation, f"{n_cells} cells, fewer than {ENOUGH_CELLS}")
    cells = known["cell"].to_numpy() if n_cells > 1 else np.arange(n)
    groups = [np.flatnonzero(cells == cell) for cell in pd.unique(cells)]
    # A generator of its own: the same results give the same report.
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        drawn.append(correlate(x[chosen], y[chosen]))
    resampled = np.array(drawn)
    resampled = resampled[~np.isnan(resampled)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return RankCorrelation(correlation, float(low), float(high), n, n_cells, "")


def within_cells(runs: pd.DataFrame, a: str, b: str) -> RankCorrelation:
    """Correlate the ranks that the seeds of a cell have among themselves.

    What a study varies moves both scores: over all runs they go together where cells differ, even
    if in no cell they do. Here ranks are taken in each cell and from its mean rank on, as a
    stratified rank test takes them, and correlated over all cells. Cells in which a score is the
    same for all seeds say nothing and do not count.

    Parameters
    ----------
    runs, a, b
        See :func:`rank_correlation`.

    Returns
    -------
    RankCorrelation
        As of :func:`rank_correlation`; with a single cell, the same.
    """
    known = _known(runs, a, b)
    varies = known.groupby("cell")[[a, b]].transform("nunique").gt(1).all(axis=1)
    ranks = known[varies].assign(
        **{
            key: known[varies].groupby("cell")[key].transform(lambda v: v.rank() - v.rank().mean())
            for key in (a, b)
        }
    )
    return _correlated(ranks, a, b, _pearson)


def _known(runs: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Return the runs that have both scores, as finite numbers."""
    return runs[["cell", a, b]].replace([math.inf, -math.inf], math.nan).dropna()


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return _pearson(rankdata(x), rankdata(y))
