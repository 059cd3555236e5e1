"""UDR: models that agree up to order and sign, and models that do not."""

import itertools

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import udr

N = 16**3


@pytest.fixture(scope="module")
def sources():
    """Three independent codes: a grid, so that correlations are exactly 0 or 1."""
    return np.array(list(itertools.product(range(16), repeat=3)), dtype=float)


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_agreement_up_to_order_and_sign(sources, similarity):
    """R is a permutation times (1 - alpha) for the lasso: max² / sum = 1 - alpha."""
    models = [sources, -sources[:, [2, 0, 1]], sources * [1, -1, 5]]
    result = udr(models, similarity=similarity)
    expected = 0.9 if similarity == "lasso" else 1
    np.testing.assert_allclose(result.parts["per_model"], expected, atol=1e-4)
    assert np.isnan(np.diag(result.parts["pairwise"])).all()


def test_rotated_model_scores_less_and_does_not_spoil_the_others(sources):
    c = np.sqrt(0.5)
    rotated = sources @ np.array([[c, -c, 0], [c, c, 0], [0, 0, 1]])
    result = udr([sources, -sources, sources * 2, rotated])
    # Two of three columns have weights (c - alpha) twice: max² / sum = (c - alpha) / 2.
    expected = (2 * (c - 0.1) / 2 + 0.9) / 3
    assert result.parts["per_model"][3] == pytest.approx(expected, abs=1e-4)
    # a median: two of the three others agree with each of the first three
    np.testing.assert_allclose(result.parts["per_model"][:3], 0.9, atol=1e-4)
    assert result.score == pytest.approx(np.mean(result.parts["per_model"]))


def test_formula_with_unequal_numbers_of_codes(sources):
    """Model 0 has a, b; model 1 has a, a, b: both sums by hand, R = 1 or 0."""
    models = [sources[:, :2], sources[:, [0, 0, 1]] * [1, 2, 1]]
    pairwise = udr(models, similarity="spearman").parts["pairwise"]
    # best² / sum is 1, 1, 1 over model 1's codes, and 1/2, 1 over model 0's
    assert pairwise[0][1] == pytest.approx(4.5 / 5)


def test_a_model_is_scored_where_it_is_predicted(sources):
    """The lasso gives all weight to the first of two equal predictors, and both equal targets some.

    From three codes a, a, b to two, R = 0.9 in (a, a) and (b, b) only: 3.6 / 5. From two to three,
    R = 0.9 for both copies: best² / sum is 0.9 thrice over targets, 0.45 and 0.9 over predictors.
    """
    result = udr([sources[:, :2], sources[:, [0, 0, 1]]])
    np.testing.assert_allclose(result.parts["per_model"], [3.6 / 5, 4.05 / 5], atol=1e-4)


def test_uninformative_codes_are_left_out(sources):
    noise = np.random.default_rng(1).normal(size=(N, 2, 2))
    models = [np.column_stack([sources, noise[:, m]]) for m in range(2)]
    kl = [[2.0, 1.5, 1.0, 0.001, 0.01]] * 2
    with_noise, without = udr(models), udr(models, kl)
    assert without.score == pytest.approx(udr([sources, sources]).score)
    assert with_noise.score < without.score


def test_collapsed_model_scores_nothing(sources):
    result = udr([sources, sources, np.zeros((N, 3))])
    assert result.parts["per_model"][2] == 0
    assert udr([sources, sources], [[0, 0, 0], [1, 1, 1]]).score == 0


@pytest.mark.parametrize(
    ("codes", "kl", "message"),
    [
        ([np.zeros((9, 2))], None, "at least two"),
        ([np.zeros((9, 2)), np.zeros((8, 2))], None, "same points"),
        ([np.zeros((9, 2))] * 2, [[1, 1], [1]], "one KL per code"),
        ([np.zeros((9, 2))] * 2, [[1, 1]], "one KL per code"),
        ([np.zeros((9, 2)), np.full((9, 2), np.nan)], None, "NaN"),
        ([np.zeros((9, 2)), np.zeros((2, 9))], None, "more codes"),
        ([np.zeros((9, 2)), np.zeros(9)], None, "shape"),
    ],
)
def test_models_that_do_not_fit_together_are_refused(codes, kl, message):
    with pytest.raises(ConfigError, match=message):
        udr(codes, kl)
