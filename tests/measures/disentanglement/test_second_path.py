"""Every metric, next to a plain second version of its formula: equal to 1e-6."""

import numpy as np
import pytest

from pyrovae.measures.disentanglement import METRICS, udr

from . import naive

SEEDS = (0, 1, 2)
DETERMINISTIC = [
    "mig",
    "mig_sup",
    "dcimig",
    "jemmig",
    "modularity",
    "irs",
    "mcc",
    "infom",
    "infoc",
    "infoe",
    "intrinsic_dimension",
    "average_mutual_information",
    "gaussian_total_correlation",
    "wasserstein_correlation",
]
SEEDED = ["sap", "explicitness", "dci", "factor_vae", "beta_vae"]


def mixed(seed: int, levels: tuple[int, ...] = (3, 4, 6), d: int = 5, n: int = 300):
    """Noisy mixtures of factors of different sizes, on scales of their own."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(levels, size=(n, len(levels)))
    codes = factors @ rng.normal(size=(len(levels), d)) + rng.normal(size=(n, d))
    return codes * rng.uniform(0.3, 3, size=d), factors


def test_every_metric_has_a_second_path():
    assert {*DETERMINISTIC, *SEEDED, "sample_efficiency", "unfairness"} == set(METRICS)


@pytest.mark.parametrize("metric", ["sample_efficiency", "unfairness"])
def test_downstream(metric):
    codes, factors = mixed(0)
    score = METRICS[metric](codes, factors, 0, learner="softmax").score
    # Where two values are nearly as likely, the last digits decide which is said.
    assert score == pytest.approx(getattr(naive, metric)(codes, factors, 0), abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("metric", DETERMINISTIC)
def test_deterministic(metric, seed):
    codes, factors = mixed(seed)
    expected = getattr(naive, metric)(codes, factors)
    score = METRICS[metric](codes, factors).score
    # Of neighbours a tie may be broken otherwise; a regression ends a little before its optimum.
    near = {"infom": 1e-3, "infoc": 1e-3, "infoe": 1e-4}.get(metric, 1e-6)
    assert score == pytest.approx(expected, abs=near)


@pytest.mark.parametrize("seed", SEEDS)
def test_sap(seed):
    codes, factors = mixed(seed)
    expected = naive.sap(codes, factors, seed)
    assert METRICS["sap"](codes, factors, seed).score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("classifier", "tolerance"),
    # Where two points are nearly equally sure, the last digits decide which is first.
    [("one_vs_rest", 1e-6), ("softmax", 1e-3)],
)
def test_explicitness(seed, classifier, tolerance):
    codes, factors = mixed(seed)
    expected = naive.explicitness(codes, factors, seed, getattr(naive, classifier))
    score = METRICS["explicitness"](codes, factors, seed, classifier=classifier).score
    assert score == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
def test_sap_of_continuous_factors(seed):
    codes, factors = mixed(seed)
    score = METRICS["sap"](codes, factors, factor_kind="continuous").score
    assert score == pytest.approx(naive.sap_continuous(codes, factors), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_dci(seed):
    codes, factors = mixed(seed, levels=(2, 3), d=3, n=150)
    parts = METRICS["dci"](codes, factors, seed, learner="gradient_boosting").parts
    names = ("disentanglement", "completeness", "informativeness")
    assert [parts[name] for name in names] == pytest.approx(
        naive.dci(codes, factors, seed), abs=1e-6
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_dci_of_the_fast_trees(seed):
    """Their importances are taken as they are: entropies and averages by loops."""
    parts = METRICS["dci"](*mixed(seed, levels=(2, 3), d=3, n=150), seed).parts
    rows = parts["importance"]
    columns = [list(column) for column in zip(*rows, strict=True)]
    for name, matrix in (("disentanglement", rows), ("completeness", columns)):
        values, weights = naive.concentrations(matrix)
        assert parts[name] == pytest.approx(np.average(values, weights=weights), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_factor_vae(seed):
    codes, factors = mixed(seed)
    score = METRICS["factor_vae"](codes, factors, seed, batch_size=8, n_train=200, n_test=100).score
    assert score == pytest.approx(naive.factor_vae(codes, factors, seed, 200, 100, 8), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_beta_vae(seed):
    codes, factors = mixed(seed, n=240)
    score = METRICS["beta_vae"](codes, factors, seed, batch_size=4, n_train=160, n_test=80).score
    assert score == pytest.approx(naive.beta_vae(codes, factors, seed, 160, 80, 4), abs=1e-6)


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_udr(similarity):
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(200, 3))
    models = [
        sources @ rng.normal(size=(3, d)) + 0.3 * rng.normal(size=(200, d)) for d in (2, 3, 4)
    ]
    result = udr(models, similarity=similarity)
    assert result.parts["per_model"] == pytest.approx(naive.udr(models, similarity), abs=1e-6)
