"""Score codes and factors that are in ``.npy`` files: any representation, from any program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrovae.disentanglement.base import METRICS, needs_factors
from pyrovae.disentanglement.uncertainty import with_standard_error
from pyrovae.disentanglement.validation import check_codes, check_pair
from pyrovae.errors import ConfigError


def score_files(
    codes_path: str | PathLike[str],
    factors_path: str | PathLike[str] | None = None,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    *,
    n_resamples: int = 0,
) -> pd.DataFrame:
    """Score the arrays in two files.

    Parameters
    ----------
    codes_path, factors_path
        ``.npy`` files of shapes (n, d) and (n, k). Without factors only metrics that do not need
        them can be asked for.
    metrics
        Names from ``METRICS``; None for all that these files allow.
    seed
        Each metric draws from a stream of its own, made of the seed and its name: a score does not
        depend on which others are asked for.
    n_resamples
        Random halves for the standard errors (`with_standard_error`); 0 for none.

    Returns
    -------
    DataFrame
        One row per number, the score of a metric before its other single-number parts. Columns:
        ``metric``; ``quantity`` (``score`` or the part's name); ``value``; ``standard_error`` (of
        scores; NaN elsewhere); ``estimator`` (JSON).

    Raises
    ------
    ConfigError
        With the file's name, if a file cannot be read or its array is refused; for a metric that
        needs factors when there are none. `UnknownNameError` for an unknown metric.
    """
    codes = _load(codes_path)
    factors = None if factors_path is None else _load(factors_path)
    _check(codes, str(codes_path), factors, str(factors_path))
    if metrics is None:
        metrics = [name for name in METRICS if factors is not None or not needs_factors(name)]

    rows: list[dict[str, Any]] = []
    for name in metrics:
        if factors is None and needs_factors(name):
            raise ConfigError(f"metric '{name}' needs factors: give their file too")
        rng = np.random.default_rng([seed, *name.encode()])
        if n_resamples:
            result, error = with_standard_error(
                METRICS[name], codes, factors, rng, n_resamples=n_resamples
            )
        else:
            result, error = METRICS[name](codes, factors, rng), np.nan
        values = {"score": result.score} | {
            part: value for part, value in result.parts.items() if isinstance(value, float)
        }
        rows += [
            {
                "metric": name,
                "quantity": quantity,
                "value": value,
                "standard_error": error if quantity == "score" else np.nan,
                "estimator": json.dumps(result.estimator),
            }
            for quantity, value in values.items()
        ]
    return pd.DataFrame(
        rows, columns=["metric", "quantity", "value", "standard_error", "estimator"]
    )


def _load(path: str | PathLike[str]) -> NDArray[Any]:
    try:
        # Pickled objects could run code: arrays of numbers do not need them.
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise ConfigError(f"not a readable .npy array: {reason}", file=str(path)) from None
    if not isinstance(array, np.ndarray):
        raise ConfigError("holds several arrays: save one with numpy.save", file=str(path))
    return array


def _check(
    codes: NDArray[Any], codes_path: str, factors: NDArray[Any] | None, factors_path: str
) -> None:
    """Refuse arrays here, where the file is known."""
    try:
        check_codes(codes)
        if factors is not None:
            check_pair(codes, factors)
    except ConfigError as refusal:
        file = factors_path if refusal.place == "factors" else codes_path
        raise refusal.at(file=file) from None
