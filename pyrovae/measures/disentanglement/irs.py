"""Interventional robustness: does a code stay put while all factors but one change?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, Codes, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import discretize
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "irs",
    score=Score("irs", "IRS", better="high", kind="proportion"),
)
def irs(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.99,
    n_factor_bins: Annotated[int, Field(gt=1)] | None = 20,
) -> MetricResult:
    r"""Interventional robustness score: how little other factors move the code of a factor.

    .. math::

        \frac{\sum_u w_u \max_v \left(1 - \bar D_{uv} / w_u\right)}{\sum_u w_u},
        \quad \bar D_{uv} = \mathbb{E}_a\, Q_{0.99}\left(|z_u - \mathbb{E}[z_u \mid v = a]|\right),
        \quad w_u = \max |z_u - \mathbb{E} z_u|

    Hold a factor at a value: the code's deviation is a high quantile of ``|z - E z|`` over the
    points with that value, averaged over values and divided by the code's largest deviation over
    all points. One minus that is the code's robustness for this factor; a code scores its largest,
    and codes are averaged with their largest deviation as weight.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers. Should be crossed (every combination): the points with one value of a
        factor stand in for interventions on the others.
    rng
        Not used: the estimate is deterministic.
    quantile
        Of the deviations; Suter et al. take the largest (1), Locatello et al.'s code 0.99, which
        outliers move less.
    n_factor_bins
        Factors of more values are put into this many bins of equal width, as in that code; None
        leaves them as they are.

    Returns
    -------
    MetricResult
        ``parts``: ``robustness`` (d, k), ``per_code`` (d,) and ``weights`` (d,).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    The score depends on the codes' relative scales, through the weights. A code that never varies
    has robustness 0 and weight 0; if none varies the score is 0. The weights make the score of
    noise depend on its tails: it is 0 only for codes that take their extremes at every value.

    References
    ----------
    Suter et al. 2019; arXiv:1811.00007

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import irs
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(irs(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.49]
    """
    z, v = check_pair(codes, factors)
    largest = np.abs(z - z.mean(axis=0)).max(axis=0) * (np.ptp(z, axis=0) > 0)
    groups = v if n_factor_bins is None else discretize(v, n_factor_bins)
    deviation = np.stack([_mean_deviation(z, group, quantile) for group in groups.T], axis=1)
    scale = np.where(largest > 0, largest, 1)[:, None]
    robustness = np.where(largest[:, None] > 0, 1 - deviation / scale, 0.0)
    per_code = robustness.max(axis=1)
    return MetricResult(
        score=float(np.average(per_code, weights=largest)) if largest.any() else 0.0,
        parts={
            "robustness": robustness.tolist(),
            "per_code": per_code.tolist(),
            "weights": largest.tolist(),
        },
        estimator={"n_points": len(z), "quantile": quantile, "n_factor_bins": n_factor_bins},
    )


def _mean_deviation(
    codes: Codes, group: NDArray[np.integer], quantile: float
) -> NDArray[np.float64]:
    """Return each code's deviation within a group, averaged over groups: (d,)."""
    deviations = []
    for value in np.unique(group):
        members = codes[group == value]
        distance = np.abs(members - members.mean(axis=0))
        deviations.append(np.quantile(distance, quantile, axis=0))
    return np.mean(deviations, axis=0)
