"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.importance import Learner, fit_factor
from pyrovae.measures.disentanglement.split import train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "dci",
    score=Score("dci", "DCI disent.", better="high", kind="proportion"),
    parts=[
        Score(
            "dci_disentanglement",
            "DCI disentanglement",
            better="high",
            kind="proportion",
            meaning="Does each code predict one factor only? The score itself.",
        ),
        Score(
            "dci_completeness",
            "DCI completeness",
            better="high",
            kind="proportion",
            meaning="Is each factor predicted by one code only?",
        ),
        Score(
            "dci_informativeness",
            "DCI informativeness",
            better="high",
            kind="proportion",
            meaning="How well the codes predict the factors, on test points.",
        ),
        Score(
            "dci_informativeness_train",
            "DCI informativeness, training points",
            better="high",
            kind="proportion",
            meaning="How well the codes predict the factors of the points learnt from.",
        ),
    ],
    min_factors=2,
    costly=True,
)
def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    learner: Learner = "hist_gradient_boosting",
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""DCI disentanglement: does each code predict one factor only?

    .. math::

        \sum_u \rho_u \left(1 + \sum_v P_{uv} \log_k P_{uv}\right),
        \quad P_{uv} = \frac{R_{uv}}{\sum_{v'} R_{uv'}},
        \quad \rho_u = \frac{\sum_v R_{uv}}{\sum_{u'v} R_{u'v}}

    A learner predicts each factor from all codes; R_ij is how much it relies on code i for factor
    j. Disentanglement of code i is one minus the entropy of row i of R, normalised and in units of
    ``log k``; completeness of factor j the same of column j in units of ``log d``. Codes are
    averaged with their share of all importance, and so are factors.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2.
    rng
        Chooses training and test points and seeds the learner.
    learner
        Locatello et al. 2019 use ``gradient_boosting``, of which the default is the fast
        equivalent; Eastwood & Williams ``lasso`` and ``random_forest_regression``, which take the
        values of a factor for numbers. Of factors with many values and few points, learners of
        classes make codes that know nothing look important: see
        `pyrovae.measures.disentanglement.importance`.
    n_train, n_test
        Points to learn from and to measure informativeness on; with fewer points than both, all are
        used in this ratio.

    Returns
    -------
    MetricResult
        The score is the disentanglement. ``parts``: ``disentanglement``, ``completeness``,
        ``informativeness`` (on test points: mean accuracy, or for learners that regress one minus
        the root mean squared error in units of the factor's standard deviation),
        ``informativeness_train``, ``importance`` (d, k), ``per_code`` (d,) disentanglement and
        ``per_factor`` (k,) completeness.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, there is one factor only, or a factor does not
        vary among the training points.

    Notes
    -----
    A code on which no prediction relies has disentanglement 0 and weight 0; if that is so of all,
    the score is 0. A single code is complete by definition.

    References
    ----------
    Eastwood & Williams 2018, sec. 2; openreview.net/forum?id=By-7dz-AZ

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import dci
    >>> factors = np.random.default_rng(0).integers(3, size=(300, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> sizes = {"n_train": 200, "n_test": 100}
    >>> [round(dci(codes, factors, 0, **sizes).score, 2) for codes in (factors, turned)]
    [1.0, 0.0]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    rng = np.random.default_rng(rng)
    split = train_test_split(z, v, n_train, n_test, rng)
    fits = [
        fit_factor(
            learner,
            split.train_codes,
            split.train_factors[:, j],
            split.test_codes,
            split.test_factors[:, j],
            seed=int(rng.integers(2**31)),
        )
        for j in range(v.shape[1])
    ]
    importance = np.stack([fit.importance for fit in fits], axis=1)
    per_code = concentration(importance)
    per_factor = concentration(importance.T)
    disentanglement = _average(per_code, importance.sum(axis=1))
    return MetricResult(
        score=disentanglement,
        parts={
            "disentanglement": disentanglement,
            "completeness": _average(per_factor, importance.sum(axis=0)),
            "informativeness": float(np.mean([fit.test for fit in fits])),
            "informativeness_train": float(np.mean([fit.train for fit in fits])),
            "importance": importance.tolist(),
            "per_code": per_code.tolist(),
            "per_factor": per_factor.tolist(),
        },
        estimator={
            "n_train": len(split.train_codes),
            "n_test": len(split.test_codes),
            "learner": learner,
        },
    )


def concentration(importance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one minus the normalised entropy of each row of a non-negative matrix.

    1 where one entry has all the weight, 0 where it is spread evenly or there is none.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.special import entr

    total = importance.sum(axis=1)
    if importance.shape[1] == 1:
        return (total > 0).astype(np.float64)
    share = importance / np.where(total > 0, total, 1)[:, None]
    spread = entr(share).sum(axis=1) / np.log(importance.shape[1])
    return np.where(total > 0, 1 - spread, 0.0)


def _average(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.average(values, weights=weights)) if weights.sum() > 0 else 0.0
