"""DCIMIG: is each factor the only one of some code?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import Binning, code_factor_information, gap
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "dcimig",
    source="Sepliarskaia et al. 2019 (also 3CharM); arXiv:1910.05587",
    score=Score("dcimig", "DCIMIG", better="high", kind="proportion"),
    min_factors=2,
)
def dcimig(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    """Share of the factors' entropy that is in codes devoted to them.

    Each code belongs to the factor of which it knows most, with its gap over the second,
    ``I(z; v_1) - I(z; v_2)``. A factor scores the largest gap among its codes, or 0 without codes;
    the sum over factors is divided by the sum of their entropies (Carbonneau et al. 2020, eq. 8).

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
        ``parts``: ``per_factor`` (k,), the gaps in nats.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or there is one factor only.
    """
    z, v = check_pair(codes, factors, min_factors=2)
    information, entropy = code_factor_information(z, v, n_bins, binning)
    per_factor = np.zeros(v.shape[1])
    np.maximum.at(per_factor, information.argmax(axis=1), gap(information, axis=1))
    return MetricResult(
        score=float(per_factor.sum() / entropy.sum()),
        parts={"per_factor": per_factor.tolist()},
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )
