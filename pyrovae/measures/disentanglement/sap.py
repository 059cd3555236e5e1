"""Separated attribute predictability: does one code alone predict each factor?"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.information import gap
from pyrovae.measures.disentanglement.split import Split, train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "sap",
    score=Score("sap", "SAP", better="high", kind="proportion"),
    costly=True,
)
def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    factor_kind: Literal["categorical", "continuous"] = "categorical",
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""Gap between the two codes that predict each factor best, each on its own.

    .. math::

        \frac{1}{k} \sum_v \left[S_{(1)}(v) - S_{(2)}(v)\right],
        \quad S_u(v) \text{ the predictability of } v \text{ by } z_u \text{ alone}

    For each factor, the predictability by the best code minus that by the second; averaged over
    factors.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, or real ones where they are continuous.
    rng
        Chooses training and test points, and seeds the classifier.
    factor_kind
        ``"categorical"``: test accuracy of a linear support vector machine (C = 0.01, classes
        balanced), as Locatello et al. 2019 for all factors. The machine is not scale-free, and
        separates the middle values of an ordered factor badly from a single code.
        ``"continuous"``: squared correlation over all points, as Kumar et al. for ordered factors.
    n_train, n_test
        Points for the classifier; with fewer points than both, all are used in this ratio. Not used
        for continuous factors.

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,) and ``predictability`` (d, k).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or a factor does not vary among the training
        points.

    Notes
    -----
    A code that never varies predicts as well as one that is not there: it is the runner-up of a
    single code.

    References
    ----------
    Kumar et al. 2018, sec. 3; arXiv:1711.00848

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import sap
    >>> factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> ordered = {"factor_kind": "continuous"}
    >>> [round(sap(codes, factors, 0, **ordered).score, 2) for codes in (factors, turned)]
    [1.0, 0.04]
    """
    z, v = check_pair(codes, factors, whole=factor_kind == "categorical")
    rng = np.random.default_rng(rng)
    d = z.shape[1]
    if d == 1:
        z = np.column_stack([z, np.zeros(len(z))])
    if factor_kind == "continuous":
        predictability = _squared_correlation(z, v)
        sizes = {"n_points": len(z)}
    else:
        split = train_test_split(z, v, n_train, n_test, rng)
        predictability = _accuracy(split, seed=int(rng.integers(2**31)))
        sizes = {"n_train": len(split.train_codes), "n_test": len(split.test_codes)}
    per_factor = gap(predictability, axis=0)
    return MetricResult(
        score=float(per_factor.mean()),
        parts={
            "per_factor": per_factor.tolist(),
            "predictability": predictability[:d].tolist(),
        },
        estimator={**sizes, "factor_kind": factor_kind},
    )


def _squared_correlation(codes: NDArray[np.float64], factors: NDArray[np.int64]) -> NDArray:
    """Return R² of each code with each factor, (d, k); 0 for a code that never varies."""
    z = codes - codes.mean(axis=0)
    v = factors - factors.mean(axis=0)
    z_square, v_square = (z**2).sum(axis=0), (v**2).sum(axis=0)
    varies = np.ptp(codes, axis=0) > 0
    norm = np.where(varies, z_square, 1)[:, None] * v_square
    return np.where(varies[:, None], (z.T @ v) ** 2 / norm, 0.0)


def _accuracy(split: Split, seed: int) -> NDArray:
    """Return the test accuracy with which each code predicts each factor, (d, k)."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.svm import LinearSVC

    return np.array(
        [
            [
                LinearSVC(C=0.01, class_weight="balanced", random_state=seed)
                .fit(train[:, None], v_train)
                .score(test[:, None], v_test)
                for v_train, v_test in zip(split.train_factors.T, split.test_factors.T, strict=True)
            ]
            for train, test in zip(split.train_codes.T, split.test_codes.T, strict=True)
        ]
    )
