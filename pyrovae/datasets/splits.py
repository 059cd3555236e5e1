"""Which observations train and which test: one reproducible, disjoint choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.labels import indices
from pyrovae.datasets.streamed import Streamed

#: A number of observations, as a data set's parameter.
Count = Annotated[int, Field(gt=0)]

#: Which subset and split; independent of the seed of the training run.
Seed = Annotated[int, Field(ge=0)]

#: Of so many observations a fifth is enough to measure anything.
_FEWEST = 10


def split_indices(n: int, n_train: int, n_test: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose disjoint random subsets of ``range(n)``.

    Train and test are the two ends of one shuffled order, so with the same ``seed`` a larger
    subset contains the smaller one, and the test set does not move when ``n_train`` changes.

    Returns
    -------
    train, test
        Shapes ``(n_train,)`` and ``(n_test,)``, ``int64``.

    Raises
    ------
    ConfigError
        If ``n_train + n_test`` exceeds ``n``.
    """
    if n_train + n_test > n:
        raise ConfigError(
            f"{n_train} training and {n_test} test observations were asked for, "
            f"but there are only {n}",
            "n_train",
        )
    # NumPy promises that the raw stream of a bit generator never changes, and does not promise it
    # of Generator.permutation (NEP 19): ranks of raw numbers give the same split for ever.
    order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
    return order[:n_train], order[n - n_test :]


def uniform(bits: np.random.PCG64, *shape: int) -> np.ndarray:
    """Return numbers in [0, 1) by the raw stream of a bit generator, the same for ever.

    Of one that has drawn nothing, the first are the same for every number of them.
    """
    raw = np.asarray(bits.random_raw(math.prod(shape)))
    numbers: np.ndarray = (raw >> np.uint64(11)) * 2.0**-53
    return numbers.reshape(shape)


def with_a_fifth_to_test(n: int) -> tuple[int, int]:
    """Return the numbers of training and test observations where nobody asked for any.

    Raises
    ------
    DataError
        If there are too few.
    """
    if n < _FEWEST:
        raise DataError(f"{n} observations: at least {_FEWEST} are needed to train and to test")
    return n - n // 5, n // 5


def split_dataset(
    name: str,
    values: np.ndarray | Tensor | Streamed,
    *,
    n_train: int,
    n_test: int,
    seed: int,
    labels: Mapping[str, np.ndarray] | None = None,
    factors: Sequence[str] = (),
) -> Dataset:
    """Return a data set whose splits are random disjoint subsets of ``values``, shape ``(n, …)``.

    Parameters
    ----------
    name, values
        Of the data set.
    n_train, n_test, seed
        As for :func:`split_indices`.
    labels
        By name, ``(n,)`` each (:func:`pyrovae.datasets.labels.named`).
    factors
        Names of the labels that are ground-truth factors.

    Raises
    ------
    ConfigError
        If there are fewer than ``n_train + n_test`` observations.
    """
    codes, sizes = indices([(labels or {})[name] for name in factors]) if factors else (None, ())
    values = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    whole = Split(values, codes, dict(labels or {}))
    train, test = map(whole.take, split_indices(len(whole), n_train, n_test, seed))
    return Dataset(name, train, test, factor_names=tuple(factors), factor_sizes=sizes)
