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
    source="Ridgeway & Mozer 2018, sec. 3; arXiv:1802.05312",
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
    """One minus the squared mutual information of each code with all factors but its first.

    For code z with mutual informations I_1 >= I_2 >= ... >= I_k,
    ``1 - (I_2**2 + ... + I_k**2) / (I_1**2 (k - 1))``; averaged over codes.

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
