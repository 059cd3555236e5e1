"""Data sets: splits of one tensor each, with ground-truth factors where they are known.

>>> from pyrovae.datasets import load_dataset
>>> load_dataset("digits", n_train=1000, n_test=500).event_shape
(1, 8, 8)
"""

from __future__ import annotations

from typing import Any

from pyrovae.core import dotted
from pyrovae.core.errors import DataError, first_line
from pyrovae.core.registry import parameters_of

# Imported for their effect: each registers its data set.
from pyrovae.datasets import (  # noqa: F401
    cars3d,
    digits,
    dsprites,
    freyfaces,
    grammar,
    linear_gaussian,
    mnist,
    mpi3d,
    own,
    own_files,
    shapes3d,
    smallnorb,
    sprites,
    text,
)
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS, made

__all__ = ["DATASETS", "Dataset", "Split", "load_dataset"]


def load_dataset(name: str, **parameters: Any) -> Dataset:
    """Load a data set by its registry name, or by the dotted path of a function that returns one.

    Parameters
    ----------
    name
        One of ``list(DATASETS)``, or ``package.module:function`` (:mod:`pyrovae.datasets.own`).
    parameters
        Its keyword parameters; the rest take their defaults.

    Raises
    ------
    ConfigError
        For an unknown name, an unknown parameter or a value that cannot be.
    DataError
        If its file is missing or damaged, or it needs more memory than there is.
    """
    if dotted.is_path(name):
        return own.load(name, parameters)
    resolved, make = DATASETS.resolve(name, parameters), DATASETS[name]
    known = parameters_of(make, DATASETS.kind)
    if not make.__module__.startswith(f"{__name__}."):
        # A plug-in's, or registered in a notebook.
        return made(lambda **given: own.called(name, make, given), known, resolved)
    try:
        return made(make, known, resolved)
    except MemoryError as failure:
        raise DataError(f"needs more memory than there is: {first_line(failure)}") from failure
