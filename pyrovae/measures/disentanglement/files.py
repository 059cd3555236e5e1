"""Score codes and factors that are in ``.npy`` files: any representation, from any program."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.scoring import score
from pyrovae.measures.disentanglement.validation import check_codes

if TYPE_CHECKING:
    import pandas as pd


def score_files(
    codes_path: str | PathLike[str],
    factors_path: str | PathLike[str] | None = None,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    *,
    n_resamples: int = 0,
    original: bool = False,
) -> pd.DataFrame:
    """Score the arrays in two files.

    Parameters
    ----------
    codes_path, factors_path
        ``.npy`` files of shapes (n, d) and (n, k).
    metrics, seed, n_resamples, original
        As in `score`.

    Returns
    -------
    DataFrame
        As of `score`.

    Raises
    ------
    ConfigError
        With the file's name, if a file cannot be read or its array is refused; else as `score`.
    """
    codes = _load(codes_path)
    factors = None if factors_path is None else _load(factors_path)
    try:
        check_codes(codes)
        return score(codes, factors, metrics, seed, n_resamples=n_resamples, original=original)
    except ConfigError as refusal:
        file = {"codes": codes_path, "factors": factors_path}.get(refusal.place)
        if file is None:
            raise
        raise refusal.at(file=str(file)) from None


def _load(path: str | PathLike[str]) -> NDArray[Any]:
    try:
        # Pickled objects could run code: arrays of numbers do not need them.
        array = np.load(path, allow_pickle=False)
    except OSError as failure:
        reason = failure.strerror or failure
        raise ConfigError(f"not a readable .npy array: {reason}", file=str(path)) from None
    except (ValueError, EOFError):
        # numpy takes any other file for a pickle, and its message tells how to load one.
        raise ConfigError(
            "not a readable .npy array: save numbers with numpy.save", file=str(path)
        ) from None
    if not isinstance(array, np.ndarray):
        raise ConfigError("holds several arrays: save one with numpy.save", file=str(path))
    return array
