"""DCI: entropies of a given matrix by hand, and each learner's importances."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from pyrovae.measures.disentanglement import ORIGINAL_ESTIMATORS, dci
from pyrovae.measures.disentanglement.dci import concentration
from pyrovae.measures.disentanglement.importance import _split_gains, fit_factor

from .cases import make


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0, 3, 0, 0], 1),
        ([1, 1, 1, 1], 0),
        ([2, 2, 0, 0], 1 - np.log(2) / np.log(4)),
        ([0.75, 0.25, 0, 0], 1 - (0.75 * np.log(4 / 3) + 0.25 * np.log(4)) / np.log(4)),
        ([0, 0, 0, 0], 0),
    ],
)
def test_concentration_by_hand(row, expected):
    assert concentration(np.array([row], dtype=float)) == pytest.approx(expected)


def test_a_single_code_is_complete():
    assert concentration(np.array([[2.0], [0.0]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("learner", "worst"),
    # a forest offers each node one code of three, at times none that helps
    [
        ("gradient_boosting", 0.99),
        ("random_forest", 0.85),
        ("random_forest_regression", 0.95),
        ("lasso", 0.95),
    ],
)
def test_other_learners_on_a_perfect_code(learner, worst):
    codes, factors = make("perfect", levels=3, repeats=4)
    result = dci(codes, factors, 0, learner=learner)
    assert result.score > worst
    assert result.parts["completeness"] > worst
    assert result.parts["informativeness"] > worst
    assert result.estimator["learner"] == learner


def test_codes_that_know_nothing_have_no_say_where_values_have_an_order():
    """Two codes hold a factor of 32 values each, eight hold noise, as in a VAE with idle units.

    A forest of classes has 25 points for each value, and splits on noise to tell them apart.
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(32, size=(1_200, 2))
    told = factors + 0.5 * rng.standard_normal((1_200, 2))
    codes = np.column_stack([told, rng.standard_normal((1_200, 8))])
    ordered = dci(codes, factors, 0, learner="random_forest_regression")
    assert ordered.score > 0.97
    assert ordered.parts["completeness"] > 0.97
    importance = np.array(ordered.parts["importance"])
    assert importance[2:].sum(0).max() < 0.02
    # What cannot be told is the noise, in units of the factor's standard deviation, at the least.
    assert 1 - 0.5 / factors.std() - 0.04 < ordered.parts["informativeness"] < 0.96
    assert dci(codes, factors, 0, learner="random_forest").score < 0.5


def test_lasso_by_its_closed_form():
    """On orthonormal codes the lasso's weights are the correlations, less alpha."""
    codes, factors = make("half_rotated", levels=5)
    result = dci(codes, factors, 0, n_train=len(codes) - 100, n_test=100, learner="lasso")
    kept = 1 / np.sqrt(2) - 0.02
    expected = np.array([[kept, kept, 0], [kept, kept, 0], [0, 0, 1 - 0.02]])
    np.testing.assert_allclose(result.parts["importance"], expected, atol=0.03)
    # prediction falls short by alpha sqrt(2) for a and b, by alpha for c
    assert result.parts["informativeness"] == pytest.approx(
        1 - 0.02 * (2 * np.sqrt(2) + 1) / 3, abs=0.01
    )


def test_gains_by_hand():
    """One tree of depth 2, whose gains follow from counts.

    With p = 1/2 every gradient is ±1/2 and every hessian 1/4: a node of G and H has G²/H, and a
    split gains its children's less its own.
    """
    n = 2_000
    factor = np.arange(n) % 2
    codes = np.zeros((n, 3))
    codes[:, 0] = np.where(np.arange(n) // 2 % 10 < 3, 1 - factor, factor)  # 3 flips in 10
    codes[:, 1] = np.where(np.arange(n) // 20 % 10 < 1, 1 - factor, factor)  # 1 flip in 10

    def objective(*masks):
        return sum((0.5 - factor[m]).sum() ** 2 / (len(factor[m]) / 4) for m in masks)

    first = codes[:, 1] == 0
    second = codes[:, 0] == 0
    quarters = [(one & two) for one in (first, ~first) for two in (second, ~second)]
    tree = HistGradientBoostingClassifier(max_iter=1, max_depth=2).fit(codes, factor)
    whole = np.full(n, True)
    expected = [
        objective(*quarters) - objective(first, ~first),
        objective(first, ~first) - objective(whole),
        0,
    ]
    np.testing.assert_allclose(_split_gains(tree, 3), expected, rtol=1e-5)


def test_importances_below_zero_by_rounding_are_none():
    """Classical trees give a code of noise -4e-18 here, whose entropy would be infinite."""
    rng = np.random.default_rng(4)
    factor = rng.integers(3, size=80)
    codes = np.column_stack([factor, rng.normal(size=(80, 3))])
    assert fit_factor("gradient_boosting", codes, factor, codes, factor, 4).importance.min() == 0


def test_duplicates_share_their_importance_whatever_their_order_or_direction():
    codes, factors = make("perfect", levels=4, repeats=4)
    twice = np.column_stack([codes, -np.exp(codes)])
    importance = np.array(dci(twice, factors, 0).parts["importance"])
    np.testing.assert_allclose(importance[:3], importance[3:])
    np.testing.assert_allclose(importance[:3], np.eye(3) / 2, atol=1e-3)


def test_sizes_are_stored():
    result = dci(*make("perfect", levels=4), rng=0, n_train=120, n_test=50)
    assert result.estimator == {"n_train": 120, "n_test": 50, "learner": "hist_gradient_boosting"}


def test_the_original_estimator_is_the_lasso():
    result = dci(*make("perfect", levels=4), rng=0, **ORIGINAL_ESTIMATORS["dci"])
    assert result.estimator["learner"] == "lasso"
