"""Rank correlation over runs, and its interval over cells."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pyrovae.analysis.rank_correlation import ENOUGH_CELLS, ENOUGH_RUNS, rank_correlation


def runs(x, y, cells=None):
    return pd.DataFrame({"cell": range(len(x)) if cells is None else cells, "x": x, "y": y})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=ENOUGH_RUNS, max_size=30))
@settings(max_examples=8, deadline=None)
def test_it_is_spearmans(pairs) -> None:
    x, y = zip(*pairs, strict=True)
    found = rank_correlation(runs(x, y), "x", "y")
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(found.correlation)
    else:
        assert found.correlation == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.n == len(pairs)


def test_runs_without_a_score_do_not_count() -> None:
    table = runs([1, 2, 3, 4, 5, 6, math.nan, 8], [1, 2, 3, 4, 5, 6, -50, math.inf])
    found = rank_correlation(table, "x", "y")
    assert (found.correlation, found.n) == (pytest.approx(1), 6)


def test_too_few_runs_have_none() -> None:
    found = rank_correlation(runs([1, 2], [1, 2]), "x", "y")
    assert math.isnan(found.correlation)
    assert math.isnan(found.low)


def test_the_interval_covers_the_truth() -> None:
    """Of 30 samples of a Gaussian of correlation 0.5, at least 90 % minus 4 standard errors."""
    truth = 6 / math.pi * math.asin(0.25)  # Spearman's of a Gaussian of Pearson's 0.5
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(30):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=40).T
        found = rank_correlation(runs(x, y), "x", "y")
        covered += found.low <= truth <= found.high
    assert covered / 30 > 0.9 - 4 * (0.9 * 0.1 / 30) ** 0.5


def test_seeds_of_a_cell_are_one_piece_of_evidence() -> None:
    """Five copies of each of 12 cells: as uncertain as the 12 cells are."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 12))
    once = rank_correlation(runs(x, y), "x", "y")
    five = rank_correlation(
        runs(np.repeat(x, 5), np.repeat(y, 5), np.repeat(range(12), 5)), "x", "y"
    )
    assert five.correlation == pytest.approx(once.correlation)
    assert (five.low, five.high) == pytest.approx((once.low, once.high), abs=0.02)


@pytest.mark.parametrize("cells", [2, 3, ENOUGH_CELLS - 1])
def test_few_cells_have_no_interval(cells: int) -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 20 * cells))
    table = runs(x, y, np.repeat(range(cells), 20))
    found = rank_correlation(table, "x", "y")
    assert found.correlation == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.cells, found.no_interval) == (cells, f"{cells} cells, fewer than {ENOUGH_CELLS}")
    # Cells that lack a score are no evidence.
    lacking = pd.concat([table, runs([0.0] * 9, [math.nan] * 9, range(50, 59))])
    assert rank_correlation(lacking, "x", "y").no_interval == found.no_interval


def test_enough_cells_have_an_interval() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, ENOUGH_CELLS))
    found = rank_correlation(runs(x, y), "x", "y")
    assert found.low <= found.correlation <= found.high
    assert found.no_interval == ""
