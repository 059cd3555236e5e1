"""How much of a score is the choice of evaluation points?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import Metric, MetricResult, RNGLike


def with_standard_error(
    metric: Metric,
    codes: ArrayLike,
    factors: ArrayLike | None,
    rng: RNGLike = None,
    *,
    n_resamples: int = 20,
    **estimator: Any,
) -> tuple[MetricResult, float]:
    """Score all points, with a standard error from random halves of them.

    The standard error is the standard deviation of the score over halves drawn without
    replacement. For a statistic whose variance is s²/n, halves of the same points vary by
    s²(2/n - 1/n) = s²/n about the whole: no rescaling is needed (the delete-half jackknife; Shao &
    Wu 1989). A bootstrap would repeat points, which mutual information takes for dependence and
    which the metrics that learn find in both their training and their test points.

    Scores that involve chance (votes, splits, learners) are given new chance for each half, so its
    share is in the standard error too.

    Parameters
    ----------
    metric
        A function such as ``METRICS["mig"]``.
    codes, factors
        (n, d) and (n, k); factors may be None for a metric that does not need them.
    rng
        For the metric and for drawing halves.
    n_resamples
        Halves; the standard error itself is uncertain by about ``1 / sqrt(2 n_resamples)`` of
        itself, 16 % at the default.
    **estimator
        Keyword parameters of the metric.

    Returns
    -------
    result : MetricResult
        Of all points.
    standard_error : float
        In the score's units.

    Raises
    ------
    ConfigError
        For fewer than two resamples; if the metric refuses the points; or if it refuses a half,
        for instance because a rare value of a factor is missing there.

    Notes
    -----
    Bias is not part of it: mutual information of few points is too large, by the same amount for
    all halves. Nor is the variation between seeds, for which train again.
    """
    rng = np.random.default_rng(rng)
    result = metric(codes, factors, rng, **estimator)
    return result, standard_error(metric, codes, factors, rng, n_resamples=n_resamples, **estimator)


def standard_error(
    metric: Metric,
    codes: ArrayLike,
    factors: ArrayLike | None,
    rng: RNGLike = None,
    *,
    n_resamples: int = 20,
    **estimator: Any,
) -> float:
    """Return the standard error of `with_standard_error` alone.

    It is NaN where the score of a half is infinite: such scores have no spread.

    Raises
    ------
    ConfigError
        For fewer than two resamples, or if the metric refuses a half.
    """
    if n_resamples < 2:
        raise ConfigError(f"at least 2 resamples make a spread, got {n_resamples}", "n_resamples")
    rng = np.random.default_rng(rng)
    z, v = np.asarray(codes), None if factors is None else np.asarray(factors)
    scores = []
    for _ in range(n_resamples):
        half = rng.permutation(len(z))[: len(z) // 2]
        scores.append(metric(z[half], None if v is None else v[half], rng, **estimator).score)
    return float(np.std(scores, ddof=1)) if np.isfinite(scores).all() else np.nan
