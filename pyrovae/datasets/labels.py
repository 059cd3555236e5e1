"""What is known of observations besides their values: labels as they are, factors as indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyrovae.core.errors import DataError
from pyrovae.datasets.observed import as_array

#: Real values that are more than so many become so many bins.
BINS = 10


def named(given: Any, n: int, *, what: str = "factor") -> dict[str, np.ndarray]:
    """Return columns by name, each ``(n,)``: ``int64``, ``float64`` or words.

    Parameters
    ----------
    given
        ``(n,)`` or ``(n, k)`` of numbers or words, a mapping of such columns by name, or a table
        with named columns.
    n
        Of the observations.
    what
        What such a column is called in messages, and where it has no name.

    Raises
    ------
    DataError
        For another length, or what is neither a finite number nor a word, with its place.
    """
    if hasattr(given, "columns"):
        given = {str(name): given[name] for name in given.columns}
    if isinstance(given, Mapping):
        return {str(name): _column(as_array(v), n, f"{what} {name!r}") for name, v in given.items()}
    values = _words(as_array(given))
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise DataError(f"{what}s of shape {values.shape}: must be (n,) or (n, k)")
    if len(values) != n:
        raise DataError(f"{what}s of {len(values)} observations, and {n} observations")
    table = values.reshape(n, -1)
    k = table.shape[1]
    names = ["label"] if k == 1 else [f"{what}_{i}" for i in range(k)]
    return {name: _column(table[:, i], n, f"a {what}") for i, name in enumerate(names)}


def _words(values: np.ndarray) -> np.ndarray:
    return (
        values.astype(str)
        if values.dtype.kind == "O" and all(isinstance(v, str) for v in values.flat)
        else values
    )


def _column(values: np.ndarray, n: int, what: str) -> np.ndarray:
    values = _words(values)
    if values.shape != (n,):
        raise DataError(f"{what} of shape {values.shape}: must be ({n},), one for each observation")
    if values.dtype.kind not in "buifUS":
        raise DataError(f"{what} of {values.dtype}: must be numbers or words")
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f":
        odd = np.flatnonzero(~np.isfinite(values))
        if len(odd):
            raise DataError(f"{what} {values[odd[0]]} at [{odd[0]}]: must be a finite number")
        whole = bool((values == np.round(values)).all() and np.abs(values).max(initial=0) < 2**53)
        return values.astype(np.int64 if whole else np.float64)
    return values if values.dtype.kind == "U" else values.astype(np.int64)


def indices(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return columns as factor indices, and how many values each takes.

    Words and whole numbers are numbered by rising value. So are real numbers of at most
    :data:`BINS` values; more are put into as many bins of about equal counts, between the quantiles
    of the column.

    Parameters
    ----------
    columns
        From :func:`named`.

    Returns
    -------
    indices
        ``(n, k)``, ``int64``.
    sizes
        ``(k,)``.
    """
    found = [np.unique(_binned(column), return_inverse=True) for column in columns]
    codes = np.stack([inverse.reshape(-1) for _, inverse in found], axis=1).astype(np.int64)
    return codes, tuple(len(known) for known, _ in found)


def _binned(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind != "f" or len(np.unique(column)) <= BINS:
        return column
    edges = np.quantile(column, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, column, side="right")
