"""Intervals against SciPy's own, within the range of what they are of, and where there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pyrovae.measures.collapse.measure import USED_UNITS
from pyrovae.measures.scores import score_of
from pyrovae.report.look.intervals import interval, summarise

VALUES = [11.0, 12.0, 12.0, 14.0, 10.0]


def test_interval_is_students() -> None:
    expected = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert interval(np.array(VALUES)) == pytest.approx(expected)
    # By hand: t(0.975; 4) = 2.776, s = 1.4832, sqrt(5) = 2.2361.
    half = 2.7764 * 1.4832 / 2.2361
    assert interval(np.array(VALUES)) == pytest.approx((11.8 - half, 11.8 + half), rel=1e-4)
    # Of counts and shares too, where the range is far.
    assert interval(np.array(VALUES), "count", most=32) == pytest.approx(expected)
    shares = np.array(VALUES) / 32
    assert interval(shares, "proportion") == pytest.approx(np.array(expected) / 32)


@pytest.mark.parametrize("values", [[3.0], [3.0, 4.0], [3.0, 4.0, math.nan]])
@pytest.mark.parametrize("kind", ["real", "count", "proportion", "positive"])
def test_too_few_seeds_have_no_interval(values, kind) -> None:
    assert np.isnan(interval(np.array(values), kind)).all()


@pytest.mark.parametrize("kind", ["real", "proportion", "positive"])
def test_seeds_that_agree_have_no_interval(kind) -> None:
    assert np.isnan(interval(np.array([0.5, 0.5, 0.5]), kind)).all()


def test_counts_that_agree_may_be_off_by_one_in_other_seeds() -> None:
    # Five seeds agree with probability 2.5 % if 52.18 % of all seeds had another count.
    share = 0.5218
    assert (1 - share) ** 5 == pytest.approx(0.025, rel=1e-3)
    assert interval(np.full(5, 4.0), "count", most=32) == pytest.approx(
        (4 - share, 4 + share), abs=1e-4
    )
    assert interval(np.full(5, 32.0), "count", most=32) == pytest.approx((32 - share, 32), abs=1e-4)
    assert interval(np.zeros(5), "count", most=32) == pytest.approx((0, share), abs=1e-4)


@given(
    st.lists(st.integers(0, 32), min_size=3, max_size=8),
    st.sampled_from(["count", "proportion", "positive"]),
)
def test_no_interval_leaves_the_range_or_its_mean(counts: list[int], kind) -> None:
    values = np.array(counts) / (1 if kind == "count" else 32)
    low, high = interval(values, kind, most=32)
    if np.ptp(values) == 0 and kind != "count":
        assert math.isnan(low)
        return
    top = {"count": 32, "positive": 32, "proportion": 1}[kind]
    assert 0 <= low <= values.mean() <= high <= top
    assert low < high


def test_estimates_outside_the_range_are_not_cut() -> None:
    values = np.array([-0.02, 0.01, 0.02])
    assert interval(values, "proportion") == interval(values)


def test_coverage_is_nominal() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(7, 2, size=(2000, 5))
    inside = [low <= 7 <= high for low, high in map(interval, samples)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_cutting_at_the_range_costs_no_coverage() -> None:
    samples = np.random.default_rng(0).beta(20, 1, size=(1000, 5))
    whole = np.array([interval(s) for s in samples])
    cut = np.array([interval(s, "proportion") for s in samples])
    inside = [(ends[:, 0] <= 20 / 21) & (ends[:, 1] >= 20 / 21) for ends in (whole, cut)]
    np.testing.assert_array_equal(*inside)
    assert (whole[:, 1] > 1).mean() > 0.1
    assert cut.max() == 1


@pytest.mark.parametrize("spread", [0.1, 0.4, 1.5])
def test_coverage_of_counts_is_at_least_nominal(spread: float) -> None:
    """Counts of which most seeds agree would have no width else, and cover nothing."""
    rng = np.random.default_rng(1)
    counts = np.clip(np.round(rng.normal(3.8, spread, size=(20_000, 5))), 0, 4)
    mean = counts.mean()
    ends = np.array([interval(seeds, "count", most=4) for seeds in counts[:2000]])
    assert ((ends[:, 0] <= mean) & (mean <= ends[:, 1])).mean() > 0.93


def test_groups_keep_their_order_and_leave_out_missing_values() -> None:
    table = pd.DataFrame(
        {"cell": list("bbbaaaa"), "value": [1.0, 2.0, 3.0, 5.0, 5.0, math.nan, 8.0]}
    )
    found = summarise(table, ["cell"], "value")
    assert found["cell"].tolist() == ["b", "a"]
    assert found["mean"].tolist() == [2.0, 6.0]
    assert found["n"].tolist() == [3, 3]
    low, high = stats.t.interval(0.95, 2, loc=6.0, scale=stats.sem([5.0, 5.0, 8.0]))
    assert found.loc[1, ["low", "high"]].tolist() == pytest.approx([low, high])


def test_each_group_has_its_own_number_of_units() -> None:
    table = pd.DataFrame(
        {"cell": list("aaabbb"), "latent_dim": [4] * 3 + [32] * 3, "n": [4.0, 4, 3] * 2}
    )
    found = summarise(table, ["cell"], "n", USED_UNITS)
    assert found["high"].tolist() == [4.0, pytest.approx(11 / 3 + 4.30265 / 3, rel=1e-4)]
    dimension = summarise(table, ["cell"], "n", score_of("effective_dimension"))
    assert dimension["high"].tolist() == found["high"].tolist()
