"""Counting, against counting done otherwise."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

from pyrovae.measures.disentanglement import mig
from pyrovae.measures.disentanglement.information import (
    as_labels,
    discretize,
    entropy,
    gap,
    joint_entropy,
    mutual_information,
)


def by_counting(a, b):
    n = len(a)
    pairs, left, right = Counter(zip(a, b, strict=True)), Counter(a), Counter(b)
    return sum(c / n * log(c * n / (left[x] * right[y])) for (x, y), c in pairs.items())


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(0)
    a = rng.integers(20, size=(1_000, 4))
    b = np.stack([a[:, 0] // 3, rng.integers(5, size=1_000), a[:, 2] % 7 + a[:, 3] // 10], axis=1)
    return a, b


def test_mutual_information_is_that_of_two_other_programs(labels):
    a, b = labels
    matrix = mutual_information(a, b)
    assert matrix.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            assert matrix[i, j] == pytest.approx(mutual_info_score(a[:, i], b[:, j]), abs=1e-6)
            assert matrix[i, j] == pytest.approx(
                by_counting(a[:, i].tolist(), b[:, j].tolist()), abs=1e-6
            )


def test_entropies_are_those_of_scipy(labels):
    a, b = labels
    for column, value in zip(a.T, entropy(a), strict=True):
        assert value == pytest.approx(scipy_entropy(np.bincount(column)), abs=1e-10)
    pairs = Counter(zip(a[:, 0].tolist(), b[:, 1].tolist(), strict=True))
    assert joint_entropy(a, b)[0, 1] == pytest.approx(
        scipy_entropy(list(pairs.values())), abs=1e-10
    )


def test_independent_by_construction_is_exactly_zero():
    a, b = (m.ravel()[:, None] for m in np.meshgrid(np.arange(7), np.arange(11)))
    assert mutual_information(a, b) == 0


def test_mig_by_two_other_programs():
    rng = np.random.default_rng(1)
    factors = rng.integers(6, size=(2_000, 3))
    codes = factors @ rng.normal(size=(3, 5)) + rng.normal(size=(2_000, 5))
    gaps = []
    for v in factors.T:
        known = []
        for z in codes.T:
            bins = np.digitize(z, np.histogram(z, 20)[1][:-1])  # as Locatello et al. 2019
            known.append(mutual_info_score(v, bins))
        first, second = sorted(known)[:-3:-1]
        gaps.append((first - second) / mutual_info_score(v, v))
    assert mig(codes, factors).score == pytest.approx(np.mean(gaps), abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [np.random.default_rng(0).normal(size=(500, 3)), np.arange(41.0)[:, None]],
    ids=["between edges", "on edges"],
)
def test_equal_bins_count_as_numpy_does(values):
    bins = discretize(values, 20)
    for column, number in zip(values.T, bins.T, strict=True):
        np.testing.assert_array_equal(
            np.bincount(number, minlength=20), np.histogram(column, bins=20)[0]
        )


def test_quantile_bins_hold_equally_many():
    bins = discretize(np.random.default_rng(0).normal(size=(500, 2)), 20, "quantile")
    assert (np.bincount(bins[:, 0]) == 25).all()


def test_equal_values_share_a_quantile_bin():
    values = np.array([[0.0]] * 7 + [[1.0]] * 3)
    assert len(np.unique(discretize(values, 5, "quantile")[:7])) == 1


@pytest.mark.parametrize("binning", ["uniform", "quantile"])
def test_a_constant_is_one_bin(binning):
    assert entropy(discretize(np.full((50, 1), 3.7), 20, binning)) == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.integers(2, 30))
@settings(max_examples=50, deadline=None)
def test_bins_are_numbered_from_zero_and_follow_the_order(values, n_bins):
    column = np.array(values)[:, None]
    for binning in ("uniform", "quantile"):
        bins = discretize(column, n_bins, binning)[:, 0]
        assert bins.min() >= 0
        assert bins.max() < n_bins
        assert (np.diff(bins[np.argsort(column[:, 0], kind="stable")]) >= 0).all()


def test_labels_number_the_values():
    np.testing.assert_array_equal(as_labels(np.array([[5], [-2], [5]])), [[1], [0], [1]])


def test_gap_over_one_entry_is_to_nothing():
    np.testing.assert_array_equal(gap(np.array([[0.5, 0.2]]), axis=0), [0.5, 0.2])
    np.testing.assert_allclose(gap(np.array([[0.5, 0.2], [0.1, 0.9]]), axis=0), [0.4, 0.7])
