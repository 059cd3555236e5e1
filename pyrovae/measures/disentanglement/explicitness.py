"""Explicitness: can a linear classifier read each factor from all codes together?"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from pyrovae.core.registry import Before
from pyrovae.measures.disentanglement.base import METRICS, Codes, MetricResult, RNGLike
from pyrovae.measures.disentanglement.split import train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score

Classifier = Literal["softmax", "one_vs_rest"]


@METRICS.register(
    "explicitness",
    score=Score("explicitness", "Explicitness", better="high", kind="proportion"),
    parts=[
        Score(
            "explicitness_rescaled",
            "Explicitness, rescaled",
            better="high",
            kind="proportion",
            meaning="Explicitness with chance at 0 instead of 1/2.",
        ),
    ],
    costly=True,
)
def explicitness(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    classifier: Annotated[Classifier, Before("one_vs_rest")] = "softmax",
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""Area under the ROC curve of logistic regressions that predict each factor from all codes.

    .. math:: \frac{1}{k} \sum_v \frac{1}{|v|} \sum_a \mathrm{AUC}(v = a \mid z)

    A penalised regression for each factor, on standardised codes; each value's probability is
    taken for how sure it is of that value. The score is the mean area over values, then over
    factors: 0.5 is chance, 1 the best.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers.
    rng
        Chooses training and test points.
    classifier
        ``"softmax"``: one regression for all values of a factor. ``"one_vs_rest"``: one for each
        value, whose probabilities are normalised; it cannot tell a value that lies between others
        in a code among others, so that perfect codes of ten values score 0.96.
    n_train, n_test
        Points to learn from and to measure on; with fewer points than both, all are used in this
        ratio.

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,), and ``rescaled``, twice the score minus 1 (Carbonneau et al.
        2020).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or a factor does not vary among the training
        points.

    Notes
    -----
    A value of which there is no training or no test point has no area and is left out; a factor of
    which this is so of all values counts as chance.

    Ridgeway & Mozer fit one regression against the rest. The code of Locatello et al. 2019 leaves
    the choice to scikit-learn's default, which has been softmax since version 0.22. Scores by
    one against the rest are stored as ``explicitness``, as they were before there was a choice;
    those by softmax as ``explicitness[classifier=softmax]``.

    References
    ----------
    Ridgeway & Mozer 2018, sec. 3; arXiv:1802.05312

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import explicitness
    >>> factors = np.random.default_rng(0).integers(3, size=(300, 2))
    >>> one = factors[:, :1]  # tells nothing of the other
    >>> sizes = {"n_train": 200, "n_test": 100}
    >>> [round(explicitness(codes, factors, 0, **sizes).score, 2) for codes in (factors, one)]
    [1.0, 0.73]
    >>> ten = np.random.default_rng(0).integers(10, size=(3_000, 3))
    >>> both = ("softmax", "one_vs_rest")
    >>> [explicitness(ten, ten, 0, classifier=each).score > 0.99 for each in both]
    [True, False]
    """
    z, v = check_pair(codes, factors)
    split = train_test_split(z, v, n_train, n_test, np.random.default_rng(rng))
    per_factor = [
        _area(classifier, split.train_codes, train, split.test_codes, test)
        for train, test in zip(split.train_factors.T, split.test_factors.T, strict=True)
    ]
    score = float(np.mean(per_factor))
    return MetricResult(
        score=score,
        parts={"per_factor": per_factor, "rescaled": 2 * score - 1},
        estimator={
            "n_train": len(split.train_codes),
            "n_test": len(split.test_codes),
            "classifier": classifier,
        },
    )


def _area(
    classifier: Classifier,
    z_train: Codes,
    v_train: NDArray[np.int64],
    z_test: Codes,
    v_test: NDArray[np.int64],
) -> float:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Of several values scikit-learn's regression is a softmax, of two they are the same.
    softmax = LogisticRegression(max_iter=1_000)
    model = make_pipeline(
        StandardScaler(), softmax if classifier == "softmax" else OneVsRestClassifier(softmax)
    )
    # Matrices of ten columns: BLAS threads wait for each other for ten times as long as they work.
    with threadpool_limits(limits=1, user_api="blas"):
        probability = model.fit(z_train, v_train).predict_proba(z_test)
    is_value = v_test[:, None] == model.classes_
    defined = is_value.any(axis=0) & ~is_value.all(axis=0)
    if not defined.any():
        return 0.5
    return float(roc_auc_score(is_value[:, defined], probability[:, defined], average="macro"))
