"""The one place where the arrays that a metric is given are checked.

What is refused, each with one `ConfigError` whose ``place`` is ``codes`` or ``factors``: an array
that is not two-dimensional or holds no numbers, NaN or infinity, more codes than points, lengths
that differ, factors that are not integers, a factor that never varies, too few factors.

What is allowed: codes that never vary. A collapsed unit is a result, not a mistake; it carries no
information, and each metric treats it so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import Codes


def check_codes(codes: ArrayLike) -> Codes:
    """Return ``codes`` as a float array of shape (n, d).

    Raises
    ------
    ConfigError
        If it is no finite (n, d) array of numbers with 1 <= d <= n and n >= 2.
    """
    array = _matrix(codes, "codes")
    n, d = array.shape
    if n == 0:
        raise ConfigError("there are no points", "codes")
    if d > n:
        raise ConfigError(
            f"more codes ({d} columns) than points ({n} rows): is the array transposed?", "codes"
        )
    if n < 2:
        raise ConfigError("a single point has no statistics", "codes")
    return array.astype(np.float64)


def check_pair(
    codes: ArrayLike, factors: ArrayLike | None, *, min_factors: int = 1, whole: bool = True
) -> tuple[Codes, Any]:
    """Return codes (n, d) as floats and factors (n, k) as integers.

    Parameters
    ----------
    min_factors
        How many factors the metric compares; 2 for those that ask which factor a code belongs to.
    whole
        Whether factors are categories. Otherwise they may be real numbers, and are returned as
        floats.

    Raises
    ------
    ConfigError
        As `check_codes`; or if the factors are missing, are no (n, k) array of whole numbers, are
        fewer than ``min_factors``, or if one of them takes a single value.
    """
    checked = check_codes(codes)
    if factors is None:
        raise ConfigError("this metric compares codes with factors, and there are none", "factors")
    array = _matrix(factors, "factors")
    if len(array) != len(checked):
        raise ConfigError(f"{len(array)} rows, but the codes have {len(checked)}", "factors")
    if array.shape[1] < min_factors:
        raise ConfigError(
            f"this metric needs at least {min_factors} factors, got {array.shape[1]}", "factors"
        )
    if whole and not are_whole(array):
        raise ConfigError("factors are categories: give whole numbers (bin real ones)", "factors")
    constant = np.flatnonzero(np.ptp(array, axis=0) == 0)
    if constant.size:
        raise ConfigError(f"factor {constant[0]} never varies: leave it out", "factors")
    return checked, array.astype(np.int64 if whole else np.float64)


def are_whole(factors: ArrayLike) -> bool:
    """Tell whether factors are whole numbers, of whatever type."""
    array = np.asarray(factors)
    return np.array_equal(array, np.round(array))


def _matrix(values: ArrayLike, place: str) -> NDArray[np.number]:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ConfigError(f"expected real numbers, got dtype {array.dtype}", place)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ConfigError(f"expected shape (points, columns), got {array.shape}", place)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise ConfigError(f"NaN or infinity at row {row}, column {column}", place)
    return array
