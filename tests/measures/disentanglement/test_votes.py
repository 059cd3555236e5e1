"""FactorVAE and BetaVAE scores: what is drawn, and what may win."""

import numpy as np
import pytest

from pyrovae.measures.disentanglement import beta_vae, factor_vae
from pyrovae.measures.disentanglement.fixed_factor import draw_batches, draw_pairs
from pyrovae.measures.disentanglement.split import train_test_split

from .cases import make


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_batches_share_a_value(rng):
    factor = rng.integers(5, size=300)
    values = factor[draw_batches(factor, 200, 16, rng)]
    assert values.shape == (200, 16)
    assert (values == values[:, :1]).all()


def test_values_are_drawn_with_their_frequency(rng):
    factor = np.repeat([0, 1], [100, 300])
    values = factor[draw_batches(factor, 20_000, 2, rng)[:, 0]]
    assert values.mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 20_000))


def test_points_of_a_value_are_drawn_evenly(rng):
    factor = np.repeat([0, 1], 10)
    counts = np.bincount(draw_batches(factor, 5_000, 8, rng).ravel(), minlength=20)
    assert counts.min() > 1_700  # 2,000 expected
    assert counts.max() < 2_300


def test_pairs_are_distinct_points_of_one_value(rng):
    factor = rng.integers(50, size=120)
    first, second = draw_pairs(factor, 5_000, rng)
    assert (factor[first] == factor[second]).all()
    assert (first != second).all()
    repeated = np.isin(factor, np.flatnonzero(np.bincount(factor) > 1))
    assert set(first) | set(second) == set(np.flatnonzero(repeated))


def test_training_and_test_points_are_disjoint(rng):
    points = np.arange(30.0)[:, None]
    factors = np.arange(30)[:, None] % 3
    split = train_test_split(points, factors, 10, 5, rng)
    assert (len(split.train_codes), len(split.test_codes)) == (10, 5)
    assert not set(split.train_codes.ravel()) & set(split.test_codes.ravel())
    np.testing.assert_array_equal(split.train_factors, split.train_codes.astype(int) % 3)


def test_with_few_points_all_are_used_in_the_same_ratio(rng):
    split = train_test_split(np.zeros((30, 1)), np.arange(30)[:, None], 10_000, 5_000, rng)
    assert (len(split.train_codes), len(split.test_codes)) == (20, 10)


@pytest.mark.parametrize("metric", [factor_vae, beta_vae])
def test_noise_is_at_chance_even_where_points_are_few(metric):
    """Test votes from the points that were learnt from would be right in 0.6 here, not a third."""
    scores = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        factors, codes = rng.integers(5, size=(150, 3)), rng.normal(size=(150, 20))
        result = metric(codes, factors, rng, n_train=1_000, n_test=1_000)
        scores.append(result.score)
    assert result.parts["chance"] == 1 / 3
    assert np.mean(scores) == pytest.approx(1 / 3, abs=0.08)


def test_codes_below_the_threshold_cannot_win():
    codes, factors = make("perfect")
    codes = codes / codes.std(axis=0)
    tiny = codes * [1, 1, 0.04]
    result = factor_vae(tiny, factors, 0)
    assert result.parts["n_active"] == 2
    assert not any(result.parts["votes"][2])
    # c held: a and b win in half the votes each, but belong to a and b
    assert result.score == pytest.approx(2 / 3, abs=0.03)
    assert factor_vae(tiny, factors, 0, min_std=0.03).score == 1


def test_variances_are_relative_to_the_whole():
    """A score does not depend on the units of active codes, though their variances do."""
    factors = np.random.default_rng(0).integers(5, size=(2_000, 3))
    codes = factors + 2 * np.random.default_rng(1).normal(size=factors.shape)
    result = factor_vae(codes, factors, 0)
    assert 0.4 < result.score < 0.99
    assert factor_vae(codes * [1, 8, 64], factors, 0) == result


def test_constant_codes_cannot_win_without_a_threshold():
    codes, factors = make("perfect")
    codes = np.column_stack([np.full(len(codes), 3.3), codes])
    result = factor_vae(codes, factors, 0, min_std=0)
    assert result.score == 1
    assert result.parts["n_active"] == 3


def test_votes_add_up():
    result = factor_vae(*make("half_rotated"), rng=0, n_train=700, n_test=100)
    assert np.sum(result.parts["votes"]) == 700
    assert result.estimator["n_train"] == 700
