"""The bootstrap against closed forms and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyrovae.analysis import bootstrap

RNG = np.random.default_rng(0)
STRATA = [RNG.normal(0, 1, 5), RNG.normal(3, 2, 7), RNG.normal(-1, 0.5, 4)]


def test_the_means_bootstrap_variance_is_the_closed_form() -> None:
    """The variance of a resampled mean is sum of squares / n², over strata as for any mean."""
    drawn = bootstrap.mean(bootstrap.resample(STRATA, np.random.default_rng(1), 40_000))
    exact = sum(((v - v.mean()) ** 2).sum() / len(v) ** 2 for v in STRATA) / len(STRATA) ** 2
    # A variance of 40,000 draws has a relative standard error of 0.7 %.
    assert drawn.var() == pytest.approx(exact, rel=0.035)
    assert drawn.mean() == pytest.approx(
        float(bootstrap.mean(STRATA)), abs=5 * (exact / 4e4) ** 0.5
    )


def test_the_interval_is_that_of_all_resamples() -> None:
    values = np.array([0.0, 1.0, 5.0, 6.0, 9.0, 9.0])
    every = np.array([np.mean(c) for c in itertools.product(values, repeat=6)])
    low, high = bootstrap.interval(
        bootstrap.mean, [values], rng=np.random.default_rng(2), repetitions=40_000
    )
    # The exact quantiles of 6^6 equally likely means; neighbours are a sixth apart.
    assert low == pytest.approx(np.quantile(every, 0.025), abs=0.17)
    assert high == pytest.approx(np.quantile(every, 0.975), abs=0.17)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [((6,), ""), ((3, 3), ""), ((5,), "5 runs"), ((9, 2), "a task of 2 runs"), ((3,), "3 runs")],
)
def test_few_runs_have_no_interval(sizes: tuple[int, ...], reason: str) -> None:
    strata = [np.arange(n, dtype=float) for n in sizes]
    ends = bootstrap.interval(bootstrap.mean, strata, rng=np.random.default_rng(0))
    assert np.isnan(ends).all() == bool(reason)
    assert bootstrap.no_interval(strata).startswith(reason)
    shares = bootstrap.interval(
        lambda s: bootstrap.profile(s, np.arange(4.0)), strata, rng=np.random.default_rng(0)
    )
    assert np.shape(shares) == (2, 4)


def test_each_stratum_is_drawn_from_itself() -> None:
    drawn = bootstrap.resample([np.zeros(3), np.ones(2)], np.random.default_rng(0), 50)
    assert [part.shape for part in drawn] == [(50, 3), (50, 2)]
    assert (drawn[0] == 0).all()
    assert (drawn[1] == 1).all()


def test_interquartile_mean_is_scipys_trimmed_mean() -> None:
    for n in range(4, 20):
        values = np.random.default_rng(n).normal(size=n)
        assert bootstrap.interquartile_mean([values]) == pytest.approx(
            stats.trim_mean(values, 0.25)
        )


def test_probability_of_improvement_is_mann_whitneys_statistic() -> None:
    x, y = np.array([1.0, 2.0, 2.0, 5.0]), np.array([0.0, 2.0, 3.0])
    exact = stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert bootstrap.probability_of_improvement([x], [y]) == pytest.approx(exact)
    assert bootstrap.probability_of_improvement([x, y], [x, y]) == pytest.approx(0.5)


def test_the_profile_counts_runs_above() -> None:
    strata = [np.array([0.1, 0.5]), np.array([0.2, 0.3, 0.4])]
    shares = bootstrap.profile(strata, np.array([0.0, 0.25, 0.45, 0.9]))
    np.testing.assert_allclose(shares, [1.0, (1 / 2 + 2 / 3) / 2, 1 / 4, 0.0])


def test_tables_are_by_level_and_task() -> None:
    runs = pd.DataFrame(
        {
            "prior": ["a"] * 6 + ["b"] * 6,
            "posterior": ["x", "x", "x", "y", "y", "y"] * 2,
            "mig": [1.0, 2, 2, 3, 4, 3, 0, 0, 0, 0, 0, np.nan],
        }
    )
    table = bootstrap.aggregates(runs, "mig", ["prior", "posterior"], np.random.default_rng(0))
    means = table[table["statistic"] == "mean"].set_index(["factor", "level"])
    assert means.loc[("prior", "a"), "value"] == 2.5
    assert means.loc[("prior", "b"), ["tasks", "runs"]].tolist() == [2, 5]
    known = table[table["no_interval"] == ""]
    assert set(known["level"]) == {"a", "x"}
    assert (known["low"] <= known["value"]).all()
    assert (known["value"] <= known["high"]).all()
    unknown = table[table["no_interval"] != ""]
    assert unknown[["low", "high"]].isna().all(axis=None)
    better = bootstrap.improvements(runs, "mig", ["prior"], np.random.default_rng(0))
    assert better["value"].tolist() == [1.0]
    shares = bootstrap.profiles(runs, "mig", ["prior"], np.random.default_rng(0))
    assert shares.groupby("level")["share"].apply(lambda s: s.is_monotonic_decreasing).all()
