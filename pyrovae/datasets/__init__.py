"""Data sets: two splits of one tensor each, with ground-truth factors where they are known.

>>> from pyrovae.datasets import load_dataset
>>> load_dataset("digits", n_train=1000, n_test=500).event_shape
(1, 8, 8)
"""

from __future__ import annotations

from typing import Any

# Imported for their effect: each registers its data set.
from pyrovae.datasets import (  # noqa: F401
    cars3d,
    digits,
    dsprites,
    freyfaces,
    linear_gaussian,
    mnist,
    mpi3d,
    shapes3d,
    smallnorb,
    sprites,
)
from pyrovae.datasets.base import DATASETS, Dataset, Split

__all__ = ["DATASETS", "Dataset", "Split", "load_dataset"]


def load_dataset(name: str, **parameters: Any) -> Dataset:
    """Load a data set by its registry name.

    Parameters
    ----------
    name
        One of ``list(DATASETS)``.
    parameters
        Its keyword parameters; the rest take their defaults.

    Raises
    ------
    ConfigError
        For an unknown name, an unknown parameter or a value that cannot be.
    DataError
        If its file is missing or damaged.
    """
    return DATASETS.create(name, **parameters)
