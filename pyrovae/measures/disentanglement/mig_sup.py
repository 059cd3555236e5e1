"""MIG-sup: does each code hold one factor only?"""

from __future__ import annotations

from typing import Annotated

from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import Binning, code_factor_information, gap
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "mig_sup",
    score=Score("mig_sup", "MIG-sup", better="high", kind="proportion"),
    min_factors=2,
)
def mig_sup(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    r"""Mutual information gap between the two factors that each code knows most of.

    .. math::

        \frac{1}{d} \sum_u \left[\frac{I(z_u; v_{(1)})}{H(v_{(1)})} -
        \frac{I(z_u; v_{(2)})}{H(v_{(2)})}\right]

    v_(1) and v_(2) are the factors for which the normalised mutual information with code z_u is
    largest and second largest.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2.
    rng
        Not used: the estimate is deterministic.
    n_bins, binning
        How codes are made discrete (`discretize`); no more than log ``n_bins`` nats are seen.

    Returns
    -------
    MetricResult
        ``parts``: ``per_code`` (d,).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or there is one factor only.

    Notes
    -----
    Every code counts, so codes that carry nothing pull the score to 0. Li et al. average over the
    active units alone (variance of the mean above 0.01): see `with_and_without_inactive`.

    References
    ----------
    Li et al. 2020; arXiv:2002.10549

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import mig_sup
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(mig_sup(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.0]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    information, entropy = code_factor_information(z, v, n_bins, binning)
    per_code = gap(information / entropy, axis=1)
    return MetricResult(
        score=float(per_code.mean()),
        parts={"per_code": per_code.tolist()},
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )
