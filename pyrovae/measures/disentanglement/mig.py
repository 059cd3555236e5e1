"""Mutual information gap: is each factor in one code only?"""

from __future__ import annotations

from typing import Annotated

from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import Binning, code_factor_information, gap
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "mig",
    score=Score("mig", "MIG", better="high", kind="proportion"),
)
def mig(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    r"""Mutual information gap between the two codes that know most of each factor.

    .. math:: \frac{1}{k} \sum_v \frac{I(z_{(1)}; v) - I(z_{(2)}; v)}{H(v)}

    z_(1) and z_(2) are the codes of largest and second largest mutual information with factor v, H
    is the entropy. 0 if every factor is spread evenly over two codes, 1 if each is in one code,
    readable from its bin.

    Parameters
    ----------
    codes
        (n, d). All n points are used (Locatello et al. 2019: 10,000).
    factors
        (n, k), whole numbers.
    rng
        Not used: the estimate is deterministic.
    n_bins, binning
        How codes are made discrete (`discretize`). Chen et al. instead integrate over q(z|x), which
        arrays of codes do not hold; 20 equal-width bins of the means are Locatello et al.'s.
        No more than log ``n_bins`` nats are seen: the score of a factor of L > ``n_bins`` equally
        frequent values cannot exceed log ``n_bins`` / log L (0.86 of 32 values in 20 bins).

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,); ``mutual_information`` (d, k) and ``factor_entropy`` (k,),
        in nats.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    Also the RMIG of Do & Tran 2020 (arXiv:1908.09961), whose difference is in how q(z|x) is
    sampled. A code that never varies has mutual information 0, and so has the runner-up of a single
    code: it scores its share of each factor's entropy, as next to a code that carries nothing.

    References
    ----------
    Chen et al. 2018, eq. 6; arXiv:1802.04942

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import mig
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(mig(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.02]
    """
    z, v = check_pair(codes, factors)
    information, entropy = code_factor_information(z, v, n_bins, binning)
    per_factor = gap(information, axis=0) / entropy
    return MetricResult(
        score=float(per_factor.mean()),
        parts={
            "per_factor": per_factor.tolist(),
            "mutual_information": information.tolist(),
            "factor_entropy": entropy.tolist(),
        },
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )
