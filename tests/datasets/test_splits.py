from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.core.errors import ConfigError
from pyrovae.datasets.base import Split
from pyrovae.datasets.splits import split_dataset, split_indices


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 100), st.integers(0, 2**32))
def test_splits_are_disjoint_and_in_range(n_train: int, n_test: int, spare: int, seed: int) -> None:
    n = n_train + n_test + spare
    train, test = split_indices(n, n_train, n_test, seed)
    assert (len(train), len(test)) == (n_train, n_test)
    together = np.concatenate([train, test])
    assert len(np.unique(together)) == n_train + n_test
    assert together.min() >= 0
    assert together.max() < n


def test_split_is_the_same_for_ever() -> None:
    # The ranks of the first ten numbers that NumPy's documentation prints for default_rng(0):
    # 0.64, 0.27, 0.04, 0.02, 0.81, 0.91, 0.61, 0.73, 0.54, 0.94.
    train, test = split_indices(10, 4, 3, seed=0)
    assert train.tolist() == [3, 2, 1, 8]
    assert test.tolist() == [4, 5, 9]


def test_test_set_stays_when_the_training_set_grows() -> None:
    small, test = split_indices(100, 10, 20, seed=1)
    large, test_again = split_indices(100, 80, 20, seed=1)
    assert np.array_equal(test, test_again)
    assert set(small) < set(large)


def test_split_is_shuffled_evenly() -> None:
    # Each of 20 indices is in the half-sized training set with probability 1/2: the count over
    # 400 seeds is binomial with standard deviation 10, so 6 standard deviations allow 60.
    counts = np.zeros(20)
    for seed in range(400):
        counts[split_indices(20, 10, 10, seed)[0]] += 1
    assert np.abs(counts - 200).max() < 60


def test_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"7 training and 4 test .* only 10") as caught:
        split_indices(10, 7, 4, seed=0)
    assert caught.value.place == "n_train"


def test_split_dataset_takes_the_rows() -> None:
    values = np.arange(10, dtype=np.uint8)[:, None, None, None]
    data = split_dataset("toy", values, n_train=6, n_test=4, seed=2)
    train, test = split_indices(10, 6, 4, seed=2)
    assert np.array_equal(data.train.values.ravel(), train)
    assert np.array_equal(data.test.values.ravel(), test)


def test_a_single_channel_has_the_usual_stride() -> None:
    images = torch.zeros(5, 4, 3).unsqueeze(1).as_strided((5, 1, 4, 3), (12, 1, 3, 1))
    assert Split(images).values.stride() == (12, 12, 3, 1)
    assert Split(images).values.data_ptr() == images.data_ptr()
