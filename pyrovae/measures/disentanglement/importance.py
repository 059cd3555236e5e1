"""How much a learner that predicts a factor relies on each code.

Locatello et al. 2019 use scikit-learn's gradient-boosted trees, whose exact split search takes
minutes on factors of 40 values. ``hist_gradient_boosting`` is the same learner (100 rounds of
depth-3 trees on the multinomial deviance, rate 0.1) with 255 bins per code, ten to thirty times
faster. It chooses and weighs splits by their gain in deviance to second order instead of the
reduction in squared error of its gradient: scores rank alike (Spearman above 0.95,
``benchmarks/disentanglement.py --ranking``) but may differ by 0.1, so compare with published
numbers by ``gradient_boosting``. LightGBM and XGBoost are the same second-order learner; their
wheels need an OpenMP run-time from the system, which a fresh machine may lack (lightgbm issue
7141).

These learners take the values of a factor for classes without order. Of a factor with many values
(a position, a size) each class then has few points, and trees that split until every point is told
from its neighbours split on codes that know nothing: among 1,144 codes of ellipses, of which three
units in ten hold one factor each, the other seven get half of a classifying forest's importance.
``random_forest_regression`` is the learner of the DCI paper itself (Eastwood & Williams 2018, app.
B; github.com/cianeastwood/qedr): ten trees that predict the standardised factor as a number, of the
depth that does best on points they have not seen. It is right for factors whose values have an
order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pyrovae.measures.disentanglement.base import Codes

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Learner = Literal[
    "hist_gradient_boosting",
    "gradient_boosting",
    "random_forest",
    "random_forest_regression",
    "lasso",
]
Factor = NDArray[np.int64]

LASSO_ALPHA = 0.02
"""The penalty of Eastwood & Williams' experiments, on standardised codes and factors."""

TREES = 10
"""Of a regressing forest, as in Eastwood & Williams' experiments."""

_DEPTHS = (3, 6, 12)
_UNSEEN = 0.25
"""Share of the training points on which the depth is chosen."""


class Fit(NamedTuple):
    """What a learner made of one factor.

    ``importance`` is (d,), non-negative; ``train`` and ``test`` are accuracies, or for learners
    that regress one minus the root mean squared error in units of the factor's standard deviation.
    """

    importance: NDArray[np.float64]
    train: float
    test: float


def fit_factor(
    learner: Learner, z_train: Codes, v_train: Factor, z_test: Codes, v_test: Factor, seed: int
) -> Fit:
    """Predict a factor (n,) from codes (n, d), and say which codes the prediction rests on."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        RandomForestClassifier,
    )

    if learner == "lasso":
        return _fit_lasso(z_train, v_train, z_test, v_test)
    if learner == "random_forest_regression":
        return _fit_forest(z_train, v_train, z_test, v_test, seed)
    model = {
        "hist_gradient_boosting": boosted_trees(seed),
        "gradient_boosting": GradientBoostingClassifier(random_state=seed),
        "random_forest": RandomForestClassifier(random_state=seed),
    }[learner]
    # Thousands of tiny trees: several threads wait for each other for longer than they work, ten
    # times longer where other processes want the cores too (scikit-learn issue 30662).
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(z_train, v_train)
        train, test = model.score(z_train, v_train), model.score(z_test, v_test)
    if learner == "hist_gradient_boosting":
        importance = _shared_among_ties(_split_gains(model, z_train.shape[1]), z_train)
    else:
        importance = np.maximum(model.feature_importances_, 0)  # not below 0 by rounding
    total = importance.sum()
    return Fit(importance / total if total > 0 else importance, float(train), float(test))


def boosted_trees(seed: int) -> HistGradientBoostingClassifier:
    """Return the fast equivalent of Locatello et al.'s learner; see the module."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=100, max_depth=3, min_samples_leaf=1, early_stopping=False, random_state=seed
    )


def _split_gains(model: HistGradientBoostingClassifier, n_codes: int) -> NDArray[np.float64]:
    """Sum the loss reduction of all splits on each code.

    This is what ``feature_importances_`` is for the classical trees. scikit-learn does not offer it
    for histogram trees, so it is read from their nodes; permutation importance, which is offered,
    re-predicts once per code and takes longer than the fit.
    """
    nodes = np.concatenate([tree.nodes for stage in model._predictors for tree in stage])
    splits = nodes[nodes["is_leaf"] == 0]
    gains = np.bincount(splits["feature_idx"], weights=splits["gain"], minlength=n_codes)
    return gains.astype(np.float64)


def _shared_among_ties(importance: NDArray[np.float64], codes: Codes) -> NDArray[np.float64]:
    """Share importance equally among codes that order the points alike.

    Such codes offer the same splits. Classical trees pick one of them at random at each node;
    histogram trees always take the first (scikit-learn issue 26428), and would call a duplicated
    code complete. The mean is what the random choice has in expectation.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.stats import rankdata

    ranks = rankdata(codes, axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / np.where(np.ptp(ranks, axis=0) > 0, ranks.std(axis=0), 1)
    tied = np.abs(ranks.T @ ranks) / len(ranks) > 1 - 1e-9
    np.fill_diagonal(tied, True)
    return tied @ importance / tied.sum(axis=1)


def _fit_lasso(z_train: Codes, v_train: Factor, z_test: Codes, v_test: Factor) -> Fit:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.linear_model import Lasso
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(z_train)
    codes, unseen = scaler.transform(z_train), scaler.transform(z_test)
    target, unseen_target = _standardised(v_train, v_test)
    model = Lasso(alpha=LASSO_ALPHA, max_iter=10_000).fit(codes, target)
    return Fit(
        np.abs(model.coef_),
        1 - _error(model.predict(codes), target),
        1 - _error(model.predict(unseen), unseen_target),
    )


def _fit_forest(z_train: Codes, v_train: Factor, z_test: Codes, v_test: Factor, seed: int) -> Fit:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.ensemble import RandomForestRegressor

    target, unseen_target = _standardised(v_train, v_test)

    def forest(depth: int, n: int) -> RandomForestRegressor:
        model = RandomForestRegressor(TREES, max_depth=depth, random_state=seed)
        return model.fit(z_train[:n], target[:n])

    # Training points are in a random order already.
    n = len(target) - max(round(len(target) * _UNSEEN), 1)
    errors = {depth: _error(forest(depth, n).predict(z_train[n:]), target[n:]) for depth in _DEPTHS}
    model = forest(min(errors, key=errors.__getitem__), len(target))
    importance = np.maximum(model.feature_importances_, 0)  # not below 0 by rounding
    return Fit(
        importance,
        1 - _error(model.predict(z_train), target),
        1 - _error(model.predict(z_test), unseen_target),
    )


def _standardised(
    v_train: Factor, v_test: Factor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = v_train.mean(), v_train.std()
    return (v_train - mean) / deviation, (v_test - mean) / deviation


def _error(predicted: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((predicted - target) ** 2)))
