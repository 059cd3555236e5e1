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
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pyrovae.measures.disentanglement.base import Codes

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Learner = Literal["hist_gradient_boosting", "gradient_boosting", "random_forest", "lasso"]
Factor = NDArray[np.int64]

LASSO_ALPHA = 0.02
"""The penalty of Eastwood & Williams' experiments, on standardised codes and factors."""


class Fit(NamedTuple):
    """What a learner made of one factor.

    ``importance`` is (d,), non-negative; ``train`` and ``test`` are accuracies, or for the lasso
    one minus the root mean squared error in units of the factor's standard deviation.
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
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )

    if learner == "lasso":
        return _fit_lasso(z_train, v_train, z_test, v_test)
    model = {
        "hist_gradient_boosting": HistGradientBoostingClassifier(
            max_iter=100, max_depth=3, min_samples_leaf=1, early_stopping=False, random_state=seed
        ),
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

    codes, target = StandardScaler().fit(z_train), StandardScaler().fit(v_train[:, None])
    model = Lasso(alpha=LASSO_ALPHA).fit(
        codes.transform(z_train), target.transform(v_train[:, None])[:, 0]
    )

    def score(z: Codes, v: Factor) -> float:
        error = model.predict(codes.transform(z)) - target.transform(v[:, None])[:, 0]
        return 1 - float(np.sqrt(np.mean(error**2)))

    return Fit(np.abs(model.coef_), score(z_train, v_train), score(z_test, v_test))
