"""MCC: do codes and factors correlate one to one?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "mcc",
    score=Score("mcc", "MCC", better="high", kind="proportion"),
    real_factors=True,
)
def mcc(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    correlation: Literal["pearson", "spearman"] = "pearson",
) -> MetricResult:
    r"""Mean correlation coefficient: of each factor with the code that is assigned to it.

    .. math:: \max_\pi \frac{1}{k} \sum_v \left|\mathrm{corr}(z_{\pi(v)}, v)\right|

    The assignment π gives each factor a code of its own, so that the sum is largest (Hungarian
    method). A model is identified up to permutation and scale if the score is 1; codes of another
    seed may stand for the factors.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), real or whole numbers whose order means something.
    rng
        Not used: the score is deterministic.
    correlation
        ``"pearson"``, or ``"spearman"``, which asks for a monotone relation only.

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,), 0 for a factor without a code of its own; ``assigned`` (k,),
        its code, or -1; ``correlation`` (d, k), absolute values.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    Of fewer codes than factors, those left over count as not correlated. A code that never varies
    correlates with nothing.

    References
    ----------
    Hyvarinen & Morioka 2016, arXiv:1605.06336; Khemakhem et al. 2020, arXiv:1907.04809

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import mcc
    >>> factors = np.random.default_rng(0).normal(size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]
    >>> [round(mcc(codes, factors).score, 2) for codes in (-2 * factors[:, ::-1], turned)]
    [1.0, 0.71]
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import rankdata

    z, v = check_pair(codes, factors, whole=False)
    if correlation == "spearman":
        z, v = rankdata(z, axis=0), rankdata(v, axis=0)
    table = np.abs(_standardised(z).T @ _standardised(v)) / len(z)
    code, factor = linear_sum_assignment(table, maximize=True)
    assigned, per_factor = np.full(v.shape[1], -1), np.zeros(v.shape[1])
    assigned[factor], per_factor[factor] = code, table[code, factor]
    return MetricResult(
        score=float(per_factor.mean()),
        parts={
            "per_factor": per_factor.tolist(),
            "assigned": assigned.tolist(),
            "correlation": table.tolist(),
        },
        estimator={"n_points": len(z), "correlation": correlation},
    )


def _standardised(columns: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return columns of mean 0 and variance 1; 0 where a column never varies."""
    centred = columns - columns.mean(axis=0)
    varies = np.ptp(columns, axis=0) > 0
    return np.where(varies, centred / np.where(varies, centred.std(axis=0), 1), 0.0)
