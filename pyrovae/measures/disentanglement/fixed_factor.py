"""Draw points that agree in one factor, from points that are given.

The original papers fix a factor in a simulator. With arrays, the simulator is the empirical
distribution: a value is drawn with its frequency, then points at random among those that have it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyrovae.core.errors import ConfigError

Indices = NDArray[np.intp]


def draw_batches(
    factor: NDArray[np.int64], n_batches: int, batch_size: int, rng: np.random.Generator
) -> Indices:
    """Return the indices of batches of points that share one value of ``factor`` (n,).

    Points are drawn with replacement. Shape (n_batches, batch_size).

    Raises
    ------
    ConfigError
        If no two points share a value.
    """
    order, start, count = _groups(factor, n_batches, rng)
    return order[start[:, None] + rng.integers(count[:, None], size=(n_batches, batch_size))]


def draw_pairs(
    factor: NDArray[np.int64], n_pairs: int, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Return the indices of ``n_pairs`` pairs of distinct points with the same value of ``factor``.

    Raises
    ------
    ConfigError
        If no two points share a value.
    """
    order, start, count = _groups(factor, n_pairs, rng)
    first = rng.integers(count)
    second = (first + rng.integers(1, count)) % count
    return order[start + first], order[start + second]


def _groups(
    factor: NDArray[np.int64], n_groups: int, rng: np.random.Generator
) -> tuple[Indices, Indices, Indices]:
    """Draw values of the factor; return the points sorted by value, and each value's range there.

    Values of a single point are left out: nothing varies among the points that share them.
    """
    _, value, counts = np.unique(factor, return_inverse=True, return_counts=True)
    shared = value[counts[value] > 1]
    if not shared.size:
        raise ConfigError("no two points share a value: too few points", "factors")
    drawn = shared[rng.integers(len(shared), size=n_groups)]
    return np.argsort(value, kind="stable"), (np.cumsum(counts) - counts)[drawn], counts[drawn]
