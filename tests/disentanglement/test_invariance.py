"""What a score must not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.disentanglement import METRICS

DETERMINISTIC = [
    "mig",
    "mig_sup",
    "dcimig",
    "jemmig",
    "modularity",
    "irs",
    "total_correlation",
    "wasserstein_correlation",
    "average_mutual_information",
]
SEEDED = ["factor_vae", "beta_vae", "dci", "sap", "explicitness"]
# a factor of its own for each code
SCALE_FREE_PER_CODE = [
    "mig",
    "mig_sup",
    "dcimig",
    "jemmig",
    "modularity",
    "dci",
    "explicitness",
    "total_correlation",
    "average_mutual_information",
]
SCALE_FREE = [*SCALE_FREE_PER_CODE, "irs"]

QUICK = settings(max_examples=15, deadline=None)
SEED = st.integers(0, 2**32)


def sample(seed: int):
    rng = np.random.default_rng(seed)
    factors = rng.integers(4, size=(300, 3))
    return factors @ rng.normal(size=(3, 4)) + rng.normal(size=(300, 4)), factors, rng


def score(name, codes, factors):
    small = {"n_train": 200, "n_test": 100} if name in SEEDED else {}
    if name == "dci":  # a tree per value and round: two values are quick
        factors = factors > 1
    return METRICS[name](codes, factors, 0, **small).score


def tolerance(name):
    """Histogram trees break ties by order, and cut bins from one side: neither is worth 0.02."""
    return 0.02 if name == "dci" else 1e-6


def test_every_metric_is_covered():
    assert {*DETERMINISTIC, *SEEDED} == set(METRICS)


@pytest.mark.parametrize("name", [*DETERMINISTIC, *SEEDED])
@given(seed=SEED)
@QUICK
def test_order_of_codes(name, seed):
    codes, factors, rng = sample(seed)
    shuffled = codes[:, rng.permutation(4)]
    assert score(name, shuffled, factors) == pytest.approx(
        score(name, codes, factors), abs=tolerance(name)
    )


@pytest.mark.parametrize("name", [*DETERMINISTIC, *SEEDED])
@given(seed=SEED, flips=st.lists(st.booleans(), min_size=4, max_size=4))
@QUICK
def test_sign_of_codes(name, seed, flips):
    codes, factors, _ = sample(seed)
    flipped = codes * np.where(flips, -1, 1)
    assert score(name, flipped, factors) == pytest.approx(
        score(name, codes, factors), abs=tolerance(name)
    )


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(seed=SEED)
@QUICK
def test_order_of_points_and_of_factors(name, seed):
    codes, factors, rng = sample(seed)
    rows = rng.permutation(300)
    shuffled = factors[rows][:, rng.permutation(3)]
    assert score(name, codes[rows], shuffled) == pytest.approx(
        score(name, codes, factors), abs=1e-9
    )


@pytest.mark.parametrize("name", SCALE_FREE_PER_CODE)
@given(seed=SEED, exponents=st.lists(st.integers(-8, 8), min_size=4, max_size=4))
@QUICK
def test_scale_of_each_code(name, seed, exponents):
    codes, factors, _ = sample(seed)
    scaled = codes * 2.0 ** np.array(exponents)
    assert score(name, scaled, factors) == pytest.approx(score(name, codes, factors), abs=1e-6)


@pytest.mark.parametrize("name", SCALE_FREE)
@given(seed=SEED, exponent=st.integers(-8, 8), shift=st.integers(-8, 8))
@QUICK
def test_common_scale_and_origin(name, seed, exponent, shift):
    codes, factors, _ = sample(seed)
    moved = (codes + shift) * 2.0**exponent
    assert score(name, moved, factors) == pytest.approx(score(name, codes, factors), abs=1e-3)


@given(seed=SEED, exponent=st.integers(-4, 4))
@QUICK
def test_wasserstein_correlation_is_in_squared_units(seed, exponent):
    codes, _, _ = sample(seed)
    metric = METRICS["wasserstein_correlation"]
    one, other = metric(codes), metric(codes * 2.0**exponent)
    assert other.score == pytest.approx(one.score * 4.0**exponent)
    assert other.parts["normalized"] == pytest.approx(one.parts["normalized"])


@pytest.mark.parametrize("name", ["mig", "mig_sup", "dcimig", "jemmig", "modularity", "irs"])
@given(seed=SEED)
@QUICK
def test_names_of_the_values(name, seed):
    """Factors are categories: 0, 1, 2, 3 may be renamed."""
    codes, factors, rng = sample(seed)
    renamed = (rng.permutation(4) - 7)[factors]
    assert score(name, codes, renamed) == pytest.approx(score(name, codes, factors), abs=1e-9)


@pytest.mark.parametrize("name", list(METRICS))
def test_same_seed_same_score(name):
    codes, factors, _ = sample(1)
    assert METRICS[name](codes, factors, 3) == METRICS[name](codes, factors, 3)
    assert METRICS[name](codes, factors, 3) == METRICS[name](
        codes, factors, np.random.default_rng(3)
    )


@pytest.mark.parametrize("name", ["factor_vae", "beta_vae", "dci", "explicitness"])
def test_another_seed_another_draw(name):
    codes, factors, _ = sample(1)
    assert METRICS[name](codes, factors, 3).score != METRICS[name](codes, factors, 4).score
