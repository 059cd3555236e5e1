"""Scores that follow from each metric's definition on representations that are known exactly."""

import numpy as np
import pytest
from scipy.special import entr

from pyrovae.measures.disentanglement import METRICS

from .cases import REPRESENTATIONS, draw, make

LEVELS = 10
H = np.log(LEVELS)  # entropy of each factor
LOG_BINS = np.log(20)
# a + b and a - b take 19 values, each in a bin of its own; given a, they are as uncertain as b
H_SUM = entr(np.convolve(np.full(LEVELS, 1 / LEVELS), np.full(LEVELS, 1 / LEVELS))).sum()
I_SUM = H_SUM - H
# 2**0 to 2**9: of 20 equal bins the first holds five values, and five hold one each
H_BENT = entr(0.5) + 5 * entr(0.1)
VARIANCE = (LEVELS**2 - 1) / 12 * LEVELS**4 / (LEVELS**4 - 1)  # of a factor over the whole grid
# JEMMIG of a factor in a code with as much else in it, or nothing of it: J = 2 H
ENTANGLED = 1 - 2 * H / (H + LOG_BINS)
# entropy of (1/2, 1/2) and of (3/4, 1/4) among three, in units of log 3
HALVES = np.log(2) / np.log(3)
QUARTERS = (0.75 * np.log(4 / 3) + 0.25 * np.log(4)) / np.log(3)

EXACT = {
    "mig": {
        "perfect": 1,
        "permuted": 1,
        # a + b and a - b know equally much of a (and of b): only c has a gap
        "half_rotated": 1 / 3,
        "duplicated": 0,
        "missing": 2 / 3,
        "merged": (2 * I_SUM / H + 1) / 3,
        "monotone": H_BENT / H,
        "collapsed": 0,
    },
    "mig_sup": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1 / 3,
        "duplicated": 1,
        "missing": 2 / 3,
        # a + b knows as much of b as of a
        "merged": 1 / 2,
        "monotone": H_BENT / H,
        "collapsed": 0,
    },
    "dcimig": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1 / 3,
        "duplicated": 1,
        "missing": 2 / 3,
        "merged": 1 / 3,
        "monotone": H_BENT / H,
        "collapsed": 0,
    },
    "jemmig": {
        "perfect": 1,
        "permuted": 1,
        # 19 sums in 20 bins, none shared: H(z, a) = H(a, b) = 2 H, and no gap
        "half_rotated": (2 * ENTANGLED + 1) / 3,
        # H(z, v) = H and no gap: J = H
        "duplicated": 1 - H / (H + LOG_BINS),
        # the best code for c is independent of it: H(z, c) = 2 H
        "missing": (2 + ENTANGLED) / 3,
        # H(z, v) = H(v)
        # H(a + b, a) = 2 H, and the gap is all of I(a + b; a)
        "merged": (2 * (1 - (2 * H - I_SUM) / (H + LOG_BINS)) + 1) / 3,
        # the code is a function of its factor: H(z, v) = H, and its gap is its own entropy
        "monotone": 1 - (H - H_BENT) / (H + LOG_BINS),
        "collapsed": 1 - H / (H + LOG_BINS),
    },
    "modularity": {
        "perfect": 1,
        "permuted": 1,
        # I(z; a) = I(z; b), I(z; c) = 0: 1 - 1 / 2
        "half_rotated": (0.5 + 0.5 + 1) / 3,
        "duplicated": 1,
        "missing": 2 / 3,
        "merged": (0.5 + 1) / 2,
        "monotone": 1,
        "collapsed": 0,
    },
    "mcc": {
        "perfect": 1,
        "permuted": 1,
        # a turned code is a sum of two of equal variance
        "half_rotated": (2 / np.sqrt(2) + 1) / 3,
        "duplicated": 1,
        "missing": 2 / 3,
        # two codes for three factors: b has none of its own
        "merged": (1 / np.sqrt(2) + 1) / 3,
        "monotone": np.corrcoef(np.arange(LEVELS), 2.0 ** np.arange(LEVELS))[0, 1],
        "collapsed": 0,
    },
    "irs": {
        "perfect": 1,
        "permuted": 1,
        # a held: a + b moves half as far as it can; weights are the largest deviations,
        # 9 / sqrt(2) for both rotated codes and 9 / 2 for c
        "half_rotated": (2 * np.sqrt(2) * 0.5 + 1) / (2 * np.sqrt(2) + 1),
        "duplicated": 1,
        "missing": 2 / 3,
        # a held: a + b moves half as far as it can; its weight is 9, c's 9 / 2
        "merged": (2 * 0.5 + 1) / (2 + 1),
        "monotone": 1,
        "collapsed": 0,
    },
    # Codes that are uncorrelated, or independent, but for the copies
    "gaussian_total_correlation": {
        **dict.fromkeys(REPRESENTATIONS, 0),
        "duplicated": np.inf,
    },
    "wasserstein_correlation": {
        **dict.fromkeys(REPRESENTATIONS, 0),
        # a pair of copies has covariance eigenvalues 2 V and 0: 2 (2 V) - 2 sqrt(V 2 V)
        "duplicated": 3 * (4 - 2 * np.sqrt(2)) * VARIANCE,
    },
    "average_mutual_information": {
        **dict.fromkeys(REPRESENTATIONS, 0),
        # of 15 pairs 3 are copies
        "duplicated": 3 * H / 15,
        # uncorrelated is not independent: (a + b, a - b) tells a and b
        "half_rotated": (2 * H_SUM - 2 * H) / 3,
    },
}

# With the chance of votes, splits and learners: (expected, tolerance).
STOCHASTIC = {
    "factor_vae": {
        "perfect": (1, 0),
        "permuted": (1, 0),
        # a held: either rotated code varies least, and b held the same: half of those votes
        "half_rotated": (1 / 3 + 2 / 3 / 2, 0.03),
        "duplicated": (1, 0),
        # c held: each code varies least in a third of the votes; e's are then right
        "missing": (2 / 3 + 1 / 3 / 3, 0.03),
        # a held or b held: a + b varies least, and belongs to one of them
        "merged": (2 / 3, 0.03),
        "monotone": (1, 0),
        "collapsed": (0, 0),
    },
    "beta_vae": {
        "perfect": (1, 0),
        "permuted": (1, 0),
        "half_rotated": (1 / 3 + 2 / 3 / 2, 0.03),
        "duplicated": (1, 0),
        # neither a nor b stands still: it must be c
        "missing": (1, 0.001),
        "merged": (2 / 3, 0.03),
        "monotone": (1, 0),
        "collapsed": (1 / 3, 0.03),
    },
}

# disentanglement, completeness and informativeness
DCI = {
    "perfect": (1, 1, 1),
    "permuted": (1, 1, 1),
    # importances (1/2, 1/2, 0), (1/2, 1/2, 0), (0, 0, 1): the same by rows and by columns
    "half_rotated": ((2 * (1 - HALVES) + 1) / 3, (2 * (1 - HALVES) + 1) / 3, 1),
    "duplicated": (1, 1 - np.log(2) / np.log(6), 1),
    # nothing predicts c, so its importance is spread: (1, 0, 1/3), (0, 1, 1/3), (0, 0, 1/3)
    "missing": ((8 / 3 * (1 - QUARTERS) + 1 / 3) / 3, 2 / 3, (2 + 1 / 4) / 3),
    # importances (1, 0), (1, 0), (0, 1); each of 7 sums is told in 1 of 16 equal parts
    "merged": ((2 * (1 - HALVES) + 1) / 3, 1, (2 * 7 / 16 + 1) / 3),
    "monotone": (1, 1, 1),
    "collapsed": (0, 0, 1 / 4),
}

# A linear machine separates two values with one code, but not ten: two values here.
BINARY = {
    "sap": {
        "perfect": 1 - 1 / 2,
        "permuted": 1 - 1 / 2,
        "half_rotated": 1 / 2 / 3,
        "duplicated": 0,
        "missing": 2 / 3 / 2,
        # a + b is 1 for both values of a in half the points: right in 3 / 4, and c in 1 / 2
        "merged": (2 * 1 / 4 + 1 / 2) / 3,
        "monotone": 1 - 1 / 2,
        "collapsed": 0,
    },
    "explicitness": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1,
        "duplicated": 1,
        "missing": (2 + 1 / 2) / 3,
        # 0 or 1 against 1 or 2: larger in 3 / 4 of the pairs, equal in 1 / 4
        "merged": (2 * 7 / 8 + 1) / 3,
        "monotone": 1,
        "collapsed": 1 / 2,
    },
    "sample_efficiency": {
        **dict.fromkeys(REPRESENTATIONS, 1),  # 100 points tell a code of two values
        "missing": (2 + 1 / 2) / (2 + 1 / 2),
    },
    "unfairness": {
        **dict.fromkeys(REPRESENTATIONS, 0),
        # sums of 1 are all said to be the same value of a: b = 0 and b = 1 differ by 1/2
        "merged": 2 * 1 / 4 / 6,
    },
    "infoe": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1,
        "duplicated": 1,
        "missing": 2 / 3,
        # a sum of 1 leaves a at 1/2, in half of the points
        "merged": (1 / 2 + 1 / 2 + 1) / 3,
        "monotone": 1,
        "collapsed": 0,
    },
}


# Every value a category; shares of the largest information, moved from [1/k, 1] or [1/d, 1].
DISCRETE = {
    "infom": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1 / 2,
        "duplicated": 1,
        # e knows nothing of any, as if equally much of all
        "missing": 2 / 3,
        "merged": (1 / 4 + 1) / 2,
        "monotone": 1,
        "collapsed": 0,
    },
    "infoc": {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1 / 2,
        "duplicated": (1 / 2 - 1 / 6) / (5 / 6),
        "missing": 2 / 3,
        "merged": 1,
        "monotone": 1,
        "collapsed": 0,
    },
}


def test_no_combination_is_missing():
    tables = EXACT | STOCHASTIC | BINARY | DISCRETE | {"dci": DCI}
    assert {*tables, "intrinsic_dimension"} == set(METRICS)
    for row in tables.values():
        assert row.keys() == REPRESENTATIONS.keys()


def table(expected):
    return [(m, case, value) for m, row in expected.items() for case, value in row.items()]


@pytest.mark.parametrize(("metric", "case", "expected"), table(EXACT))
def test_exact(metric, case, expected):
    assert METRICS[metric](*make(case)).score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("metric", "case", "expected"), table(DISCRETE))
def test_discrete(metric, case, expected):
    result = METRICS[metric](*make(case, levels=5), code_kind="discrete")
    assert result.score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("metric", "case", "expected"), table(STOCHASTIC))
def test_stochastic(metric, case, expected):
    value, tolerance = expected
    assert METRICS[metric](*draw(case, 30_000), rng=0).score == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize(("case", "expected"), DCI.items())
def test_dci(case, expected):
    result = METRICS["dci"](*draw(case, 6_000, levels=4), rng=0)
    parts = [result.parts[p] for p in ("disentanglement", "completeness", "informativeness")]
    assert result.score == parts[0]
    assert parts == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("metric", "case", "expected"), table(BINARY))
def test_binary(metric, case, expected):
    quick = {"learner": "softmax"} if metric == "unfairness" else {}
    score = METRICS[metric](*make(case, levels=2, repeats=500), rng=0, **quick).score
    assert score == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("case", "expected"), [("perfect", np.inf), ("merged", np.inf), ("collapsed", 0)]
)
def test_two_neighbours_on_a_grid_are_at_one_distance(case, expected):
    codes = make(case, levels=4).codes
    assert METRICS["intrinsic_dimension"](codes, method="two_nn").score == expected


@pytest.mark.parametrize("method", ["mle", "two_nn"])
@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_dimension_of_known_manifolds(method, dimension):
    """Normal codes turned into ten coordinates, and the same bent onto a torus."""
    rng = np.random.default_rng(0)
    flat = rng.uniform(size=(2_500, dimension))
    turned = flat @ np.linalg.qr(rng.normal(size=(10, 10)))[0][:dimension]
    torus = np.hstack([np.cos(2 * np.pi * flat), np.sin(2 * np.pi * flat)])
    for codes in (turned, torus):
        score = METRICS["intrinsic_dimension"](codes, method=method).score
        # The edges of a cube are where neighbours are few: an eighth less in four dimensions.
        assert dimension * 0.86 < score < dimension * 1.1


def test_fairness_of_boosted_trees():
    case = make("merged", levels=2, repeats=100)
    assert METRICS["unfairness"](*case, rng=0).score == pytest.approx(1 / 12, abs=0.03)


def test_a_softmax_tells_values_that_lie_between_others():
    """Of ten values in a perfect code, one against the rest cannot: its areas are monotone."""
    case = draw("perfect", 3_000)
    metric = METRICS["explicitness"]
    assert metric(*case, rng=0).score == pytest.approx(1, abs=5e-4)
    assert metric(*case, rng=0, classifier="one_vs_rest").score < 0.98


@pytest.mark.parametrize(
    ("case", "expected"),
    {
        "perfect": 1,
        "permuted": 1,
        "half_rotated": 1 / 3,  # R² of a and of b is 1/2 in both rotated codes
        "duplicated": 0,
        "missing": 2 / 3,
        "merged": (1 / 2 + 1 / 2 + 1) / 3,
        "monotone": np.corrcoef(np.arange(LEVELS), 2.0 ** np.arange(LEVELS))[0, 1] ** 2,
        "collapsed": 0,
    }.items(),
)
def test_sap_of_continuous_factors(case, expected):
    score = METRICS["sap"](*make(case), factor_kind="continuous").score
    assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "better", "worse"),
    [
        # Carbonneau et al. 2020, sec. 3: does a code hold one factor; is a factor in one code?
        (("mig_sup", "dcimig", "modularity", "irs", "dci_disentanglement"), "duplicated", "merged"),
        (("mig", "dci_completeness"), "merged", "duplicated"),
    ],
    ids=["modularity", "compactness"],
)
def test_modularity_and_compactness_disagree(family, better, worse):
    """Copies of codes are modular and not compact; a code of two factors the other way round."""
    for name in family:
        metric, _, part = name.partition("_") if name.startswith("dci_") else (name, "", "")
        results = [METRICS[metric](*draw(c, 1_500, levels=4), rng=0) for c in (better, worse)]
        good, bad = (r.parts[part] if part else r.score for r in results)
        assert good > bad + 0.15


def test_sap_balances_rare_values():
    """On a code of noise the machine guesses each value equally often, not the frequent one."""
    rng = np.random.default_rng(0)
    factor = (rng.uniform(size=(5_000, 1)) < 0.1).astype(int)
    accuracy = METRICS["sap"](rng.normal(size=(5_000, 2)), factor, 0).parts["predictability"]
    assert np.max(accuracy) < 0.75


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_independent_noise(distribution):
    n = 10_000
    factors = draw("perfect", n).factors
    rng = np.random.default_rng(1)
    codes = rng.normal(size=(n, 3)) if distribution == "normal" else rng.uniform(size=(n, 3))
    left_out = {"dci", "unfairness", *DISCRETE}  # dear; the ratios of noise are any
    score = {n: METRICS[n](codes, factors, 0).score for n in METRICS if n not in left_out}
    plug_in_bias = 19 * 9 / (2 * n)  # nats: Miller 1955
    for gap in ("mig", "mig_sup", "dcimig"):
        assert 0 <= score[gap] < plug_in_bias / H
    binary = factors[:1_500] > 4  # trees are dear
    assert METRICS["dci"](codes[:1_500], binary, 0).score < 0.05
    assert score["sap"] == pytest.approx(0, abs=0.03)
    assert score["explicitness"] == pytest.approx(0.5, abs=0.02)
    assert 0 <= score["infoe"] < 2 * 3 * 9 / (2 * n) / H  # 27 weights learn half a nat each
    assert score["mcc"] < 4 / np.sqrt(n)
    for vote in ("factor_vae", "beta_vae"):
        assert score[vote] == pytest.approx(1 / 3, abs=0.03)
    assert score["average_mutual_information"] < 1.2 * 19 * 19 / (2 * n)
    assert score["gaussian_total_correlation"] < 0.01
    if distribution == "uniform":  # reaches its extremes at every value, and fills every bin
        assert score["irs"] < 0.03
        assert score["jemmig"] == pytest.approx(0, abs=0.01)
