"""Scores of the codes alone: how dependent are they on each other? Less is better."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import Binning, discretize, mutual_information
from pyrovae.measures.disentanglement.validation import check_codes
from pyrovae.measures.scores import Score

SOURCE = "Locatello et al. 2019; arXiv:1811.12359"


@METRICS.register(
    "gaussian_total_correlation",
    score=Score(
        "gaussian_total_correlation",
        "Gaussian total correlation",
        unit="nats",
        better="low",
        kind="positive",
    ),
    min_factors=0,
)
def gaussian_total_correlation(
    codes: ArrayLike, factors: ArrayLike | None = None, rng: RNGLike = None
) -> MetricResult:
    r"""Total correlation of a Gaussian with the codes' covariance, in nats.

    .. math::

        \mathrm{KL}\left(\mathcal{N}(0, C) \,\|\, \mathcal{N}(0, \mathrm{diag}\, C)\right)
        = -\frac{1}{2} \log \det R

    Named apart from the ``total_correlation`` of a run, which is that of q(z), estimated from its
    density.

    C is the covariance, R the correlation matrix. Scale-free.

    Parameters
    ----------
    codes
        (n, d).
    factors, rng
        Not used.

    Returns
    -------
    MetricResult
        Infinite if a code is a linear function of others.

    Raises
    ------
    ConfigError
        If the codes are not as `check_codes` asks.

    Notes
    -----
    A code that never varies is independent of the others and adds nothing.

    References
    ----------
    Watanabe 1960; Locatello et al. 2019; arXiv:1811.12359

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import gaussian_total_correlation
    >>> codes = np.random.default_rng(0).normal(size=(2_000, 2))
    >>> mixed = codes @ [[1, 1], [0, 1]]
    >>> [round(gaussian_total_correlation(z).score, 2) for z in (codes, mixed)]
    [0.0, 0.33]
    """
    z = check_codes(codes)
    z = z[:, np.ptp(z, axis=0) > 0]
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(z.T))) if z.size else np.ones(1)
    singular = eigenvalues[0] < len(eigenvalues) * np.finfo(np.float64).eps
    score = np.inf if singular else max(0.0, -0.5 * np.log(eigenvalues).sum())
    return MetricResult(score=float(score), estimator={"n_points": len(z)})


@METRICS.register(
    "wasserstein_correlation",
    score=Score(
        "wasserstein_correlation", "Wasserstein correlation", better="low", kind="positive"
    ),
    parts=[
        Score(
            "wasserstein_correlation_normalized",
            "Wasserstein correlation, normalised",
            better="low",
            kind="positive",
            meaning="The distance divided by the codes' total variance.",
        )
    ],
    min_factors=0,
)
def wasserstein_correlation(
    codes: ArrayLike, factors: ArrayLike | None = None, rng: RNGLike = None
) -> MetricResult:
    r"""Squared 2-Wasserstein distance of a Gaussian from the product of its marginals.

    .. math::

        2\, \mathrm{tr}\, C - 2\, \mathrm{tr}\left(D^{1/2} C D^{1/2}\right)^{1/2},
        \quad D = \mathrm{diag}\, C

    C is the codes' covariance (Dowson & Landau 1982). In squared units of the codes.

    Parameters
    ----------
    codes
        (n, d).
    factors, rng
        Not used.

    Returns
    -------
    MetricResult
        ``parts``: ``normalized``, the score divided by ``tr C``, which is scale-free for a common
        scale of all codes.

    Raises
    ------
    ConfigError
        If the codes are not as `check_codes` asks.

    References
    ----------
    Locatello et al. 2019; arXiv:1811.12359

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import wasserstein_correlation
    >>> codes = np.random.default_rng(0).normal(size=(2_000, 2))
    >>> mixed = codes @ [[1, 1], [0, 1]]
    >>> [round(wasserstein_correlation(z).score, 2) for z in (codes, mixed)]
    [0.0, 0.39]
    """
    z = check_codes(codes)
    covariance = np.atleast_2d(np.cov(z.T))
    std = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(std[:, None] * covariance * std[None, :])
    total = np.trace(covariance)
    # Both are 0 in exact arithmetic where rounding makes them negative.
    distance = max(2 * total - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum(), 0.0)
    return MetricResult(
        score=float(distance),
        parts={"normalized": float(distance / total) if total > 0 else 0.0},
        estimator={"n_points": len(z)},
    )


@METRICS.register(
    "average_mutual_information",
    score=Score(
        "average_mutual_information",
        "Average mutual information",
        unit="nats",
        better="low",
        kind="positive",
    ),
    min_factors=0,
)
def average_mutual_information(
    codes: ArrayLike,
    factors: ArrayLike | None = None,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    r"""Mutual information of two different codes, averaged over all pairs, in nats.

    .. math:: \frac{1}{d (d - 1)} \sum_{u \ne u'} I(z_u; z_{u'})

    Parameters
    ----------
    codes
        (n, d).
    factors, rng
        Not used.
    n_bins, binning
        How codes are made discrete (`discretize`); no more than log ``n_bins`` nats are seen.

    Returns
    -------
    MetricResult
        0 for a single code. ``parts``: ``mutual_information`` (d, d), with the codes' entropies on
        the diagonal.

    Raises
    ------
    ConfigError
        If the codes are not as `check_codes` asks.

    References
    ----------
    Locatello et al. 2019; arXiv:1811.12359

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import average_mutual_information
    >>> codes = np.random.default_rng(0).normal(size=(2_000, 2))
    >>> mixed = codes @ [[1, 1], [0, 1]]
    >>> [round(average_mutual_information(z).score, 2) for z in (codes, mixed)]
    [0.07, 0.38]
    """
    z = check_codes(codes)
    bins = discretize(z, n_bins, binning)
    information = mutual_information(bins, bins)
    return MetricResult(
        score=_off_diagonal_mean(information),
        parts={"mutual_information": information.tolist()},
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )


def _off_diagonal_mean(matrix: NDArray[np.float64]) -> float:
    d = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (d * (d - 1))) if d > 1 else 0.0
