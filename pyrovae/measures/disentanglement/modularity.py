"""Modularity: how far is each code from knowing a single factor?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import Binning, code_factor_information
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "modularity",
    score=Score("modularity", "Modularity", better="high", kind="proportion"),
    min_factors=2,
)
def modularity(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    r"""One minus the squared mutual information of each code with all factors but its first.

    .. math::

        \frac{1}{d} \sum_u \left[1 - \frac{\sum_{j \ge 2} I_{(j)}(z_u)^2}{(k
        - 1)\, I_{(1)}(z_u)^2}\right]

    I_(1) >= I_(2) >= ... >= I_(k) are the mutual informations of a code with the factors.

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
    A code without any mutual information scores 0, as in Locatello et al. 2019. A code of pure
    noise does not: its few estimated nats differ by chance and by the number of values of each
    factor, and only their ratios count. So compare `with_and_without_inactive`.

    References
    ----------
    Ridgeway & Mozer 2018, sec. 3; arXiv:1802.05312

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import modularity
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(modularity(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.0]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    information, _ = code_factor_information(z, v, n_bins, binning)
    best = information.max(axis=1)
    squares = (information / np.where(best > 0, best, 1)[:, None]) ** 2
    per_code = np.where(best > 0, 1 - (squares.sum(axis=1) - 1) / (v.shape[1] - 1), 0.0)
    return MetricResult(
        score=float(per_code.mean()),
        parts={"per_code": per_code.tolist()},
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )
