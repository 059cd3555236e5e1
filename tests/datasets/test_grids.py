from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets.grids import FactorGrid, sample_grid

GRID = FactorGrid(("a", "b", "c"), (3, 2, 5))
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(sizes, st.data())
def test_index_and_factors_are_inverse(sizes: list[int], data: st.DataObject) -> None:
    grid = FactorGrid(tuple("abcdef"[: len(sizes)]), tuple(sizes))
    index = np.array(data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=20)))
    factors = grid.factors(index)
    assert factors.dtype == np.int64
    assert np.array_equal(grid.index(factors), index)


def test_the_last_factor_varies_fastest() -> None:
    expected = list(itertools.product(range(3), range(2), range(5)))
    assert GRID.factors(np.arange(len(GRID))).tolist() == [list(point) for point in expected]


@pytest.mark.parametrize("index", [[-1], [30], [0.5]])
def test_indices_off_the_grid_are_refused(index: list[float]) -> None:
    with pytest.raises(DataError, match="grid of 30 points"):
        GRID.factors(np.array(index))


@pytest.mark.parametrize(
    "factors", [[[3, 0, 0]], [[0, -1, 0]], [[0, 0]], [[0, 0, 0, 0]], [[0.5] * 3]]
)
def test_factors_off_the_grid_are_refused(factors: list[list[float]]) -> None:
    with pytest.raises(DataError, match="factor indices of a grid"):
        GRID.index(np.array(factors))


def test_labels_are_compared_by_rank() -> None:
    factors = GRID.factors(np.arange(len(GRID)))
    assert GRID.is_enumerated_by(factors)
    assert GRID.is_enumerated_by(factors * np.array([30.0, 0.5, 0.1]) - 45)
    assert not GRID.is_enumerated_by(factors * np.array([1, -1, 1]))
    assert not GRID.is_enumerated_by(factors[::-1])
    assert not GRID.is_enumerated_by(factors[:-1])
    swapped = factors.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    assert not GRID.is_enumerated_by(swapped)


def test_sample_grid_pairs_images_with_their_factors() -> None:
    def images_at(index: np.ndarray) -> np.ndarray:
        return index.astype(np.uint8)[:, None, None, None]

    data = sample_grid("toy", GRID, images_at, n_train=20, n_test=10, seed=0)
    seen = []
    for split in (data.train, data.test):
        index = split.values.numpy().ravel()
        assert split.factors is not None
        assert np.array_equal(GRID.index(split.factors), index)
        seen.extend(index.tolist())
    assert sorted(seen) == list(range(30))
    assert (data.factor_names, data.factor_sizes) == (GRID.names, GRID.sizes)
    with pytest.raises(ConfigError, match="only 30"):
        sample_grid("toy", GRID, images_at, n_train=21, n_test=10, seed=0)
