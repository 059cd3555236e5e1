"""Training and test points for the metrics that learn something.

The points should be drawn at random. Of a complete grid of factors, the test points are what the
training points lack, so that whatever was learnt by chance is wrong on them, and codes without
information score below chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import Codes, Factors


class Split(NamedTuple):
    """Disjoint training and test points: codes (n, d) and factors (n, k)."""

    train_codes: Codes
    train_factors: Factors
    test_codes: Codes
    test_factors: Factors


def train_test_split(
    codes: Codes, factors: Factors, n_train: int, n_test: int, rng: np.random.Generator
) -> Split:
    """Draw disjoint training and test points without replacement.

    With fewer than ``n_train + n_test`` points, all are used, in the same ratio.

    Raises
    ------
    ConfigError
        If a factor takes a single value among the training points.
    """
    n = len(codes)
    if n < n_train + n_test:
        n_train = min(max(round(n * n_train / (n_train + n_test)), 1), n - 1)
        n_test = n - n_train
    order = rng.permutation(n)
    train, test = order[:n_train], order[n_train : n_train + n_test]
    constant = np.flatnonzero(np.ptp(factors[train], axis=0) == 0)
    if constant.size:
        raise ConfigError(
            f"factor {constant[0]} takes one value among the {n_train} training points: "
            "too few points",
            "factors",
        )
    return Split(codes[train], factors[train], codes[test], factors[test])
