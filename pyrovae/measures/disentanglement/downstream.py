"""What codes are good for: learning from few labels, and predicting one factor without another."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from pyrovae.measures.disentanglement.base import METRICS, Codes, MetricResult, RNGLike
from pyrovae.measures.disentanglement.importance import boosted_trees
from pyrovae.measures.disentanglement.split import train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score

Learner = Literal["softmax", "hist_gradient_boosting"]
Values = NDArray[np.int64]


@METRICS.register(
    "sample_efficiency",
    score=Score("sample_efficiency", "Sample efficiency", better="high", kind="positive"),
    parts=[
        Score(
            f"sample_efficiency_{which}",
            f"Accuracy from {which} labels",
            better="high",
            kind="proportion",
            meaning=f"With which factors are told on test points, learnt from {which} labels.",
        )
        for which in ("few", "many")
    ],
    costly=True,
)
def sample_efficiency(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    learner: Learner = "softmax",
    n_few: Annotated[int, Field(gt=0)] = 100,
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""Sample efficiency: accuracy learnt from few labels, over that from many.

    .. math:: \sum_v \mathrm{acc}_{100}(v) \Big/ \sum_v \mathrm{acc}_{10000}(v)

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers.
    rng
        Chooses training and test points and seeds the learner.
    learner
        What predicts each factor from all codes: a penalised softmax regression on standardised
        codes, or boosted trees.
    n_few
        Labels of the few, at most half of the many.
    n_train, n_test
        Labels of the many, and points to measure on; with fewer points than both, all are used in
        this ratio.

    Returns
    -------
    MetricResult
        ``parts``: ``few`` and ``many``, the mean accuracies.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or a factor does not vary among the training
        points.

    Notes
    -----
    A ratio: useless codes, from which guessing is all that is learnt, are efficient too. Look at
    the accuracies.

    References
    ----------
    Locatello et al. 2019; arXiv:1811.12359

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import sample_efficiency
    >>> factors = np.random.default_rng(0).integers(2, size=(1_500, 2))
    >>> hidden = np.random.default_rng(1).normal(size=(1_500, 40))
    >>> hidden[:, :2] += 3 * factors
    >>> [sample_efficiency(z, factors, 0).score > 0.95 for z in (factors, hidden)]
    [True, False]
    """
    z, v = check_pair(codes, factors)
    rng = np.random.default_rng(rng)
    split = train_test_split(z, v, n_train, n_test, rng)
    few = max(1, min(n_few, len(split.train_codes) // 2))
    seed = int(rng.integers(2**31))
    right = np.array(
        [
            [
                np.mean(
                    _predicted(learner, split.train_codes[:n], known[:n], split.test_codes, seed)
                    == truth
                )
                for n in (few, len(known))
            ]
            for known, truth in zip(split.train_factors.T, split.test_factors.T, strict=True)
        ]
    )
    by_few, by_many = right.mean(axis=0)
    return MetricResult(
        score=float(by_few / by_many) if by_many > 0 else 0.0,
        parts={"few": float(by_few), "many": float(by_many)},
        estimator={
            "learner": learner,
            "n_few": few,
            "n_train": len(split.train_codes),
            "n_test": len(split.test_codes),
        },
    )


@METRICS.register(
    "unfairness",
    score=Score("unfairness", "Unfairness", better="low", kind="proportion"),
    min_factors=2,
    costly=True,
)
def unfairness(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    learner: Learner = "hist_gradient_boosting",
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""Unfairness: how far do predictions of one factor depend on another?

    .. math::

        \frac{1}{k (k - 1)} \sum_{v \ne s} \frac{1}{|s|} \sum_a
        \mathrm{TV}\left(p(\hat v),\, p(\hat v \mid s = a)\right)

    A learner predicts factor v from all codes; TV is the total variation of its predictions, on
    test points, from those where a sensitive factor s has the value a.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2, independent of each other: otherwise a perfect prediction
        depends on the other factor too.
    rng
        Chooses training and test points and seeds the learner.
    learner
        Boosted trees, as Locatello et al., or a penalised softmax regression.
    n_train, n_test
        As of `explicitness`.

    Returns
    -------
    MetricResult
        ``parts``: ``pairs`` (k, k), row v and column s, 0 on the diagonal.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, there is one factor only, or a factor does not
        vary among the training points.

    Notes
    -----
    Test points are few to each value: chance alone makes it positive, about
    ``sqrt(|v| |s| / (2 pi n_test))``.

    References
    ----------
    Locatello, Abbati et al. 2019; arXiv:1905.13662

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import unfairness
    >>> factors = np.random.default_rng(0).integers(2, size=(3_000, 2))
    >>> mixed = factors.sum(axis=1, keepdims=True)  # 1 tells of each that it is 0 or 1
    >>> [round(unfairness(z, factors, 0, learner="softmax").score, 1) for z in (factors, mixed)]
    [0.0, 0.2]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    rng = np.random.default_rng(rng)
    split = train_test_split(z, v, n_train, n_test, rng)
    k = v.shape[1]
    pairs = np.zeros((k, k))
    for target in range(k):
        seed = int(rng.integers(2**31))
        known = split.train_factors[:, target]
        predicted = _predicted(learner, split.train_codes, known, split.test_codes, seed)
        for sensitive in set(range(k)) - {target}:
            pairs[target, sensitive] = _variation(predicted, split.test_factors[:, sensitive])
    return MetricResult(
        score=float(pairs.sum() / (k * (k - 1))),
        parts={"pairs": pairs.tolist()},
        estimator={
            "learner": learner,
            "n_train": len(split.train_codes),
            "n_test": len(split.test_codes),
        },
    )


def _variation(predicted: Values, sensitive: Values) -> float:
    """Return the mean total variation of predictions from those of each value, over values."""
    labels = np.unique(predicted, return_inverse=True)[1]
    all_ = np.bincount(labels) / len(labels)
    apart = []
    for value in np.unique(sensitive):
        among = labels[sensitive == value]
        share = np.bincount(among, minlength=len(all_)) / len(among)
        apart.append(0.5 * np.abs(share - all_).sum())
    return float(np.mean(apart))


def _predicted(learner: Learner, z: Codes, v: Values, z_test: Codes, seed: int) -> Values:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if np.ptp(v) == 0:
        return np.full(len(z_test), v[0])
    model = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        if learner == "softmax"
        else boosted_trees(seed)
    )
    # Small matrices and tiny trees: threads wait for each other for longer than they work.
    with threadpool_limits(limits=1):
        return model.fit(z, v).predict(z_test)
