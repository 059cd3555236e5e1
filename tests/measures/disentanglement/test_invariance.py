"""What a score must not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.measures.disentanglement import METRICS

DETERMINISTIC = [
    "mig",
    "mig_sup",
    "dcimig",
    "jemmig",
    "modularity",
    "irs",
    "gaussian_total_correlation",
    "wasserstein_correlation",
    "average_mutual_information",
    "mcc",
    "intrinsic_dimension",
]
#: By neighbours, or by a regression that ends where it is nearly the best.
NEARLY = ["infom", "infoc", "infoe"]
SEEDED = ["factor_vae", "beta_vae", "sap", "explicitness"]
# a factor of its own for each code
SCALE_FREE_PER_CODE = [
    "mig",
    "mig_sup",
    "dcimig",
    "jemmig",
    "modularity",
    "explicitness",
    "factor_vae",  # without its threshold
    "gaussian_total_correlation",
    "average_mutual_information",
    "mcc",
]
SCALE_FREE = [*SCALE_FREE_PER_CODE, "irs", "intrinsic_dimension"]

QUICK = settings(max_examples=15, deadline=None)
SEED = st.integers(0, 2**32)


def sample(seed: int):
    rng = np.random.default_rng(seed)
    factors = rng.integers(4, size=(300, 3))
    return factors @ rng.normal(size=(3, 4)) + rng.normal(size=(300, 4)), factors, rng


def score(name, codes, factors):
    small = {"n_train": 200, "n_test": 100} if name in SEEDED else {}
    if name == "factor_vae":
        small |= {"min_std": 0}
    return METRICS[name](codes, factors, 0, **small).score


def test_every_metric_is_covered():
    # A tree's tie, or a point between two values, may go either way.
    either_way = {"dci", "unfairness", "sample_efficiency"}
    assert {*DETERMINISTIC, *SEEDED, *NEARLY, *either_way} == set(METRICS)


@pytest.mark.parametrize("name", [*DETERMINISTIC, *SEEDED])
@given(seed=SEED)
@QUICK
def test_order_of_codes(name, seed):
    codes, factors, rng = sample(seed)
    shuffled = codes[:, rng.permutation(4)]
    assert score(name, shuffled, factors) == pytest.approx(score(name, codes, factors), abs=1e-6)


@pytest.mark.parametrize("name", [*DETERMINISTIC, *SEEDED])
@given(seed=SEED, flips=st.lists(st.booleans(), min_size=4, max_size=4))
@QUICK
def test_sign_of_codes(name, seed, flips):
    codes, factors, _ = sample(seed)
    flipped = codes * np.where(flips, -1, 1)
    assert score(name, flipped, factors) == pytest.approx(score(name, codes, factors), abs=1e-6)


@given(seed=SEED, exponents=st.lists(st.integers(-8, 8), min_size=4, max_size=4))
@settings(max_examples=6, deadline=None)
def test_dci_sees_neither_order_nor_sign_nor_scale(seed, exponents):
    """Histogram trees break ties by order, and cut bins from one side: neither is worth 0.02."""
    codes, factors, rng = sample(seed)
    factors = factors > 1  # a tree per value and round: two values are quick
    moved = (codes * (-2.0) ** np.array(exponents))[:, rng.permutation(4)]
    assert METRICS["dci"](moved, factors, 0).score == pytest.approx(
        METRICS["dci"](codes, factors, 0).score, abs=0.02
    )


@pytest.mark.parametrize("name", NEARLY)
@given(seed=SEED, exponents=st.lists(st.integers(-1, 1), min_size=4, max_size=4))
@settings(max_examples=5, deadline=None)
def test_order_sign_and_scale_where_chance_is_small(name, seed, exponents):
    """Codes are all active at these scales: a twentieth of the widest range is not reached."""
    codes, factors, rng = sample(seed)
    moved = (codes * (-2.0) ** np.array(exponents))[:, rng.permutation(4)]
    rows, columns = rng.permutation(300), rng.permutation(3)
    again = score(name, moved[rows], factors[rows][:, columns])
    assert again == pytest.approx(score(name, codes, factors), abs=2e-3)


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


@given(seed=SEED, exponents=st.lists(st.integers(-8, 8), min_size=4, max_size=4))
@QUICK
def test_sap_of_continuous_factors_is_scale_free(seed, exponents):
    """Squared correlation: affine maps of codes and of factors change nothing."""
    codes, factors, rng = sample(seed)
    order = rng.permutation(4)
    moved = (codes * (-2.0) ** np.array(exponents) + rng.normal(size=4))[:, order]
    metric = METRICS["sap"]
    assert metric(moved, 7 - 3 * factors, factor_kind="continuous").score == pytest.approx(
        metric(codes, factors, factor_kind="continuous").score, abs=1e-6
    )


@pytest.mark.parametrize("name", ["irs", "sap", "beta_vae", "wasserstein_correlation"])
def test_relative_scale_matters_where_it_is_said_to(name):
    """The other side: these do not promise to be free of each code's scale."""
    codes, factors, _ = sample(0)
    scaled = codes * [1, 1, 1, 1e-3]
    assert abs(score(name, scaled, factors) - score(name, codes, factors)) > 1e-3


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
