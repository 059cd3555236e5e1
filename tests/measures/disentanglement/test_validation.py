"""Arrays that make no sense, and arrays that are merely unusual."""

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.measures.disentanglement import METRICS, needs_factors, score

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(200, 3))
CODES = FACTORS + 0.3 * RNG.normal(size=(200, 3))
SUPERVISED = [name for name in METRICS if needs_factors(name)]
COMPARE_FACTORS = [
    *("beta_vae", "dci", "dcimig", "factor_vae", "infom", "mig_sup", "modularity", "unfairness")
]


def but(array, place, value):
    array = array.astype(float)
    array[place] = value
    return array


BAD_CODES = {
    "NaN or infinity at row 3, column 1": but(CODES, (3, 1), np.nan),
    "NaN or infinity at row 0, column 2": but(CODES, (0, 2), -np.inf),
    "shape": CODES[:, 0],
    "got \\(200, 0\\)": CODES[:, :0],
    "real numbers": CODES.astype(str),
    "dtype complex": CODES.astype(complex),
    "more codes \\(200 columns\\) than points \\(3 rows\\)": CODES.T,
    "single point": CODES[:1, :1],
}
BAD_FACTORS = {
    "150 rows, but the codes have 200": FACTORS[:150],
    "NaN": but(FACTORS, (5, 0), np.nan),
    "whole numbers": FACTORS + 0.5,
    "factor 1 never varies": but(FACTORS, (slice(None), 1), 2),
    "shape": FACTORS[:, 0],
    "there are none": None,
    "dtype object": np.full((200, 3), None),
}


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("message", list(BAD_CODES))
def test_bad_codes_are_refused(name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        METRICS[name](BAD_CODES[message], FACTORS)
    assert caught.value.place == "codes"


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize("message", list(BAD_FACTORS))
def test_bad_factors_are_refused(name, message):
    if message == "whole numbers" and METRICS.takes_real_factors(name):
        assert METRICS[name](CODES, BAD_FACTORS[message]).score > 0.9
        return
    with pytest.raises(ConfigError, match=message) as caught:
        METRICS[name](CODES, BAD_FACTORS[message])
    assert caught.value.place == "factors"
    assert isinstance(caught.value, PyrovaeError)


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_single_factor(name):
    if name in COMPARE_FACTORS:
        with pytest.raises(ConfigError, match="at least 2 factors, got 1"):
            METRICS[name](CODES, FACTORS[:, :1], 0)
    else:
        ratio = name == "sample_efficiency"  # few labels may do better by chance
        assert 0 < METRICS[name](CODES, FACTORS[:, :1], 0).score <= (1.2 if ratio else 1)


@pytest.mark.parametrize("name", list(METRICS))
def test_a_single_code_is_scored(name):
    assert np.isfinite(METRICS[name](CODES[:, :1], FACTORS, 0).score)


@pytest.mark.parametrize("name", ["mig", "sap", "jemmig"])
def test_the_runner_up_of_a_single_code_carries_nothing(name):
    alone = METRICS[name](CODES[:, :1], FACTORS, 0).score
    padded = METRICS[name](np.column_stack([CODES[:, 0], np.ones(200)]), FACTORS, 0).score
    assert alone == pytest.approx(padded, abs=1e-12)


def test_mig_of_a_single_code_is_what_it_knows():
    """As of one active unit: the code is a factor of two, and nothing of the other."""
    a, b = (m.ravel() for m in np.meshgrid(np.arange(4), np.arange(5)))
    result = METRICS["mig"](a[:, None].astype(float), np.stack([a, b], axis=1))
    assert result.parts["per_factor"] == pytest.approx([1, 0])
    assert result.score == pytest.approx(1 / 2)


@pytest.mark.parametrize("name", list(METRICS))
def test_a_constant_code_next_to_others_is_scored(name):
    codes = np.column_stack([CODES, np.full(200, 7.0)])
    assert np.isfinite(METRICS[name](codes, FACTORS, 0).score)


@pytest.mark.parametrize("name", list(METRICS))
def test_codes_that_all_collapsed_carry_nothing(name):
    score = METRICS[name](np.zeros((200, 3)), FACTORS, 0).score
    if name == "sample_efficiency":  # guesses, after few labels as after many
        assert score == pytest.approx(1, abs=0.3)
    elif name == "jemmig":  # its joint entropy term rewards a code without spread
        assert 0 < score < 1
    else:
        chance = {"explicitness": 0.5, "beta_vae": 1 / 3}.get(name, 0)
        assert score == pytest.approx(chance, abs=0.03)


@pytest.mark.parametrize("name", SUPERVISED)
def test_whole_numbers_of_any_type_are_factors(name):
    expected = METRICS[name](CODES, FACTORS, 0).score
    assert METRICS[name](CODES, FACTORS.astype(np.float32), 0).score == expected
    assert METRICS[name](CODES.tolist(), FACTORS.tolist(), 0).score == expected


def test_real_factors_go_to_the_metrics_that_take_them():
    real = FACTORS + 0.1 * RNG.normal(size=FACTORS.shape)
    table = score(CODES, real)
    assert {"mcc", "gaussian_total_correlation"} <= set(table["metric"])
    assert "mig" not in set(table["metric"])
    with pytest.raises(ConfigError, match="metric 'mig': factors are categories"):
        score(CODES, real, ["mig"])
    assert METRICS["sap"](CODES, real, factor_kind="continuous").score > 0.8


def test_booleans_are_factors():
    flags = FACTORS > 1
    assert METRICS["mig"](CODES, flags).score == METRICS["mig"](CODES, flags.astype(int)).score


def test_arguments_are_left_as_they_were():
    codes, factors = CODES.copy(), FACTORS.copy()
    for name in METRICS:
        METRICS[name](codes, factors, 0)
    np.testing.assert_array_equal(codes, CODES)
    np.testing.assert_array_equal(factors, FACTORS)


@pytest.mark.parametrize("name", ["dci", "factor_vae", "beta_vae", "explicitness"])
def test_a_factor_that_does_not_vary_in_training_is_refused(name):
    factors = np.zeros((50, 2), dtype=int)
    factors[:, 1] = np.arange(50) % 2
    factors[0, 0] = 1  # one point has another value
    codes = np.arange(100.0).reshape(50, 2)
    in_test = next(
        seed for seed in range(50) if np.random.default_rng(seed).permutation(50)[33:].min() == 0
    )
    with pytest.raises(ConfigError, match="one value among the 33 training points: too few"):
        METRICS[name](codes, factors, in_test)


@pytest.mark.parametrize("name", ["factor_vae", "beta_vae"])
def test_a_factor_whose_values_are_all_different_is_refused(name):
    factors = np.stack([np.arange(200), FACTORS[:, 0]], axis=1)
    with pytest.raises(ConfigError, match="no two points share a value"):
        METRICS[name](CODES, factors, 0)
