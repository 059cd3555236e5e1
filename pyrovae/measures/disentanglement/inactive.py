"""Does a score change when the units that collapsed are dropped?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import Codes, Metric, MetricResult, RNGLike
from pyrovae.measures.disentanglement.validation import check_codes


def with_and_without_inactive(
    metric: Metric,
    codes: ArrayLike,
    factors: ArrayLike | None,
    active: ArrayLike,
    rng: RNGLike = None,
    **estimator: Any,
) -> tuple[MetricResult, MetricResult]:
    """Score all codes, and the active ones alone, from the same random numbers.

    Parameters
    ----------
    metric
        A function such as ``METRICS["mig"]``.
    codes, factors
        (n, d) and (n, k); factors may be None for a metric that does not need them.
    active
        (d,) booleans, by whichever criterion.
    rng
        Seeds both calls alike, so that their difference is not that of two draws.
    **estimator
        Keyword parameters of the metric.

    Returns
    -------
    all_units, active_units : MetricResult
        Lists in ``parts`` that run over codes are shorter in the second. Without any active unit
        the second is the score of one code that never varies.

    Raises
    ------
    ConfigError
        If ``active`` is not one boolean per code, or the metric refuses the arrays.
    """
    z = check_codes(codes)
    seed = int(np.random.default_rng(rng).integers(2**63))
    remaining = only_active(z, active)
    return metric(z, factors, seed, **estimator), metric(remaining, factors, seed, **estimator)


def only_active(codes: ArrayLike, active: ArrayLike) -> Codes:
    """Drop the columns of (n, d) codes that are not active.

    Returns
    -------
    (n, number of active) array; if none is active, one column that never varies, so that every
    metric gives the score of no information.

    Raises
    ------
    ConfigError
        If ``active`` is not one boolean per code, or the codes are not as `check_codes` asks.
    """
    z = check_codes(codes)
    keep = np.asarray(active)
    if keep.dtype != np.bool_ or keep.shape != (z.shape[1],):
        raise ConfigError(
            f"expected {z.shape[1]} booleans, got {keep.dtype} of shape {keep.shape}", "active"
        )
    return z[:, keep] if keep.any() else np.zeros((len(z), 1))
