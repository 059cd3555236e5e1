"""JEMMIG: is each factor in one code, and that code free of anything else?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import (
    Binning,
    as_labels,
    discretize,
    entropy,
    gap,
    joint_entropy,
    mutual_information,
)
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "jemmig",
    score=Score("jemmig", "JEMMIG", better="high", kind="proportion"),
    parts=[
        Score(
            "jemmig_unnormalized",
            "JEMMIG, not normalised",
            unit="nats",
            better="low",
            meaning="Joint entropy minus mutual information gap, as Do & Tran 2020 report it.",
        ),
    ],
)
def jemmig(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    n_bins: Annotated[int, Field(gt=1)] = 20,
    binning: Binning = "uniform",
) -> MetricResult:
    r"""Joint entropy minus mutual information gap, normalised so that 1 is best.

    .. math::

        \frac{1}{k} \sum_v \left[1 - \frac{H(z_{(1)}, v) - I(z_{(1)}; v) + I(z_{(2)}; v)}{H(v)
        + \log B}\right]

    z_(1) and z_(2) are the codes of largest and second largest mutual information with factor v, B
    is ``n_bins`` (Carbonneau et al. 2020, eq. 5). Do & Tran report the numerator J itself, in nats,
    of which less is better.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers.
    rng
        Not used: the estimate is deterministic.
    n_bins, binning
        How codes are made discrete (`discretize`). The joint entropy depends on the number of bins:
        a code scores 1 only if it has one bin for each value of its factor.

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,); ``unnormalized`` and ``unnormalized_per_factor``, J in nats.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    A low joint entropy counts in a code's favour even where it shares nothing with the factor: a
    code that never varies has J = H(v), and scores more than noise does.

    References
    ----------
    Do & Tran 2020; arXiv:1908.09961

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import jemmig
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(jemmig(codes, factors, 0).score, 2) for codes in (factors, turned)]
    [1.0, 0.31]
    """
    z, v = check_pair(codes, factors)
    bins, labels = discretize(z, n_bins, binning), as_labels(v)
    information = mutual_information(bins, labels)
    best = information.argmax(axis=0)
    joint = joint_entropy(bins, labels)[best, np.arange(v.shape[1])]
    nats = joint - gap(information, axis=0)
    per_factor = 1 - nats / (entropy(labels) + np.log(n_bins))
    return MetricResult(
        score=float(per_factor.mean()),
        parts={
            "per_factor": per_factor.tolist(),
            "unnormalized": float(nats.mean()),
            "unnormalized_per_factor": nats.tolist(),
        },
        estimator={"n_points": len(z), "n_bins": n_bins, "binning": binning},
    )
