"""Intervals against SciPy's own, and where there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyrovae.report.look.intervals import bounds, half_width, summarise

VALUES = [11.0, 12.0, 12.0, 14.0, 10.0]


def test_interval_is_students() -> None:
    expected = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert bounds(np.array(VALUES)) == pytest.approx(expected)
    # By hand: t(0.975; 4) = 2.776, s = 1.4832, sqrt(5) = 2.2361.
    assert half_width(np.array(VALUES)) == pytest.approx(2.7764 * 1.4832 / 2.2361, rel=1e-4)


@pytest.mark.parametrize("values", [[3.0], [3.0, 4.0], [3.0, 4.0, math.nan]])
def test_too_few_seeds_have_no_interval(values: list[float]) -> None:
    assert math.isnan(half_width(np.array(values)))


def test_seeds_that_agree_have_an_interval_of_no_width() -> None:
    assert bounds(np.array([2.0, 2.0, 2.0])) == (2.0, 2.0)


def test_coverage_is_nominal() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(7, 2, size=(2000, 5))
    inside = [low <= 7 <= high for low, high in map(bounds, samples)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


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
