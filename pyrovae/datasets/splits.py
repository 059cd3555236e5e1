"""Which observations train and which test: one reproducible, disjoint choice."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pyrovae.core.errors import ConfigError
from pyrovae.datasets.base import Dataset, Split

#: A number of observations, as a data set's parameter.
Count = Annotated[int, Field(gt=0)]

#: Which subset and split; independent of the seed of the training run.
Seed = Annotated[int, Field(ge=0)]


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


def split_dataset(
    name: str, values: np.ndarray, *, n_train: int, n_test: int, seed: int
) -> Dataset:
    """Return a data set whose splits are random disjoint subsets of ``values``, shape ``(n, …)``.

    Raises
    ------
    ConfigError
        If there are fewer than ``n_train + n_test`` observations.
    """
    train, test = (
        Split(torch.from_numpy(values[index]))
        for index in split_indices(len(values), n_train, n_test, seed)
    )
    return Dataset(name, train, test)
