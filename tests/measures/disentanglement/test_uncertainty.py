"""Standard errors, against the spread over samples that are drawn anew."""

import warnings

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import (
    factor_vae,
    gaussian_total_correlation,
    mig,
    mig_sup,
    with_and_without_inactive,
    with_standard_error,
)

from .cases import make


def draw(seed, n=1_000):
    rng = np.random.default_rng(seed)
    factors = rng.integers(5, size=(n, 2))
    return factors @ [[1, 0.5], [0, 1]] + 0.5 * rng.normal(size=(n, 2)), factors


def cheap_factor_vae(codes, factors, rng):
    return factor_vae(codes, factors, rng, n_train=400, n_test=200, batch_size=8)


@pytest.mark.parametrize("metric", [mig, cheap_factor_vae, gaussian_total_correlation])
def test_standard_error_is_the_spread_over_new_samples(metric):
    """Within 25 %; for the votes that spread is mostly their own chance, which counts too."""
    spread = np.std([metric(*draw(seed), seed).score for seed in range(300)], ddof=1)
    errors = [with_standard_error(metric, *draw(1_000 + s), s)[1] for s in range(20)]
    assert np.mean(errors) == pytest.approx(spread, rel=0.25)


def test_halves_do_not_repeat_points():
    """Duplicates of points would make a code of noise look informative."""
    seen = []

    def record(codes, factors, rng):
        seen.append(codes[:, 0])
        return mig(codes, factors)

    codes, factors = draw(0)
    with_standard_error(record, codes, factors, 0, n_resamples=3)
    assert [len(z) for z in seen] == [1_000, 500, 500, 500]
    assert all(len(np.unique(z)) == len(z) for z in seen)


def test_result_is_that_of_all_points():
    codes, factors = draw(0)
    result, error = with_standard_error(mig, codes, factors, 0, n_bins=7)
    assert result == mig(codes, factors, n_bins=7)
    assert error > 0


def test_metrics_without_factors():
    codes, _ = draw(0)
    _, error = with_standard_error(gaussian_total_correlation, codes, None, 0)
    assert error > 0


def test_one_resample_is_no_spread():
    with pytest.raises(ConfigError, match="at least 2"):
        with_standard_error(mig, *draw(0), n_resamples=1)


def test_inactive_units_change_the_metrics_that_average_over_codes():
    codes, factors = make("perfect", levels=4)
    padded = np.column_stack([codes, np.zeros((len(codes), 2))])
    active = np.array([True, True, True, False, False])
    for metric in (mig, factor_vae):
        both = with_and_without_inactive(metric, padded, factors, active, 0)
        assert [result.score for result in both] == pytest.approx([1, 1])
    everything, alone = with_and_without_inactive(mig_sup, padded, factors, active)
    assert everything.score == pytest.approx(3 / 5)
    assert alone.score == pytest.approx(1)
    assert len(alone.parts["per_code"]) == 3


def test_both_scores_use_the_same_random_numbers():
    codes, factors = draw(0)
    everything, alone = with_and_without_inactive(
        factor_vae, codes, factors, np.array([True, True]), 0
    )
    assert everything == alone


def test_without_any_active_unit_there_is_a_score():
    codes, factors = draw(0)
    _, alone = with_and_without_inactive(mig, codes, factors, np.array([False, False]))
    assert alone.score == 0


@pytest.mark.parametrize("active", [[1, 0], [True], [[True, True]]])
def test_activity_is_one_boolean_per_code(active):
    with pytest.raises(ConfigError, match="expected 2 booleans"):
        with_and_without_inactive(mig, *draw(0), active)


def test_an_infinite_score_has_no_spread() -> None:
    z = np.random.default_rng(0).normal(size=(100, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, error = with_standard_error(gaussian_total_correlation, z @ [[1, 2], [0, 0]], None, 0)
    assert np.isnan(error)
