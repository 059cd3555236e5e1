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
    r"""Share of the factors' entropy that is in codes devoted to them.

    .. math::

        \frac{\sum_v \max_{u:\, v_{(1)}(u) = v} \left[I(z_u; v_{(1)})
        - I(z_u; v_{(2)})\right]}{\sum_v H(v)}

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

    References
    ----------
    Sepliarskaia et al. 2019 (also 3CharM); arXiv:1910.05587

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import dcimig
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(dcimig(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.0]
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
