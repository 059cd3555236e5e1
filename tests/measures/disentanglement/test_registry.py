"""What is registered, with which defaults and from where."""

import pytest

from pyrovae.core.errors import ConfigError, UnknownNameError
from pyrovae.measures.disentanglement import (
    METRICS,
    ORIGINAL_ESTIMATORS,
    MetricResult,
    needs_factors,
)

from .cases import make

SMALL = make("perfect", levels=4)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_a_summary_and_a_source(name):
    assert METRICS.summary(name).endswith((".", "?"))
    assert any(year in METRICS.source(name) for year in ("2017", "2018", "2019", "2020", "2023"))


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_is_created_from_the_registry(name):
    result = METRICS.create(name, *SMALL, 0)
    assert isinstance(result, MetricResult)
    assert isinstance(result.score, float)
    assert METRICS.resolve(name, {}).keys() <= result.estimator.keys()


@pytest.mark.parametrize(
    ("name", "defaults"),
    {
        "mig": {"n_bins": 20, "binning": "uniform"},
        "dci": {"learner": "hist_gradient_boosting", "n_train": 10_000, "n_test": 5_000},
        "factor_vae": {"batch_size": 64, "n_train": 10_000, "n_test": 5_000, "min_std": 0.05},
        "beta_vae": {"batch_size": 64, "n_train": 10_000, "n_test": 5_000},
        "sap": {"factor_kind": "categorical", "n_train": 10_000, "n_test": 5_000},
        "modularity": {"n_bins": 20, "binning": "uniform"},
        "explicitness": {"classifier": "softmax", "n_train": 10_000, "n_test": 5_000},
        "irs": {"quantile": 0.99, "n_factor_bins": 20},
    }.items(),
)
def test_defaults_are_those_of_locatello_2019(name, defaults):
    assert METRICS.resolve(name, {}) == defaults


@pytest.mark.parametrize("name", list(ORIGINAL_ESTIMATORS))
def test_original_estimators_are_valid_and_differ(name):
    original = ORIGINAL_ESTIMATORS[name]
    resolved = METRICS.resolve(name, original)
    assert all(resolved[key] != METRICS.resolve(name, {})[key] for key in original)
    estimator = METRICS[name](*SMALL, 0, **original).estimator
    assert original.items() <= estimator.items()


@pytest.mark.parametrize(
    ("name", "parameters", "place"),
    [
        ("mig", {"n_bins": 1}, "n_bins"),
        ("mig", {"n_bins": 20.0}, "n_bins"),
        ("mig", {"bins": 20}, "bins"),
        ("dci", {"learner": "forest"}, "learner"),
        ("factor_vae", {"batch_size": 1}, "batch_size"),
        ("irs", {"quantile": 1.5}, "quantile"),
    ],
)
def test_parameters_are_validated(name, parameters, place):
    with pytest.raises(ConfigError) as caught:
        METRICS.create(name, *SMALL, 0, **parameters)
    assert caught.value.place == place


def test_which_metrics_take_real_factors():
    real = {name for name in METRICS if needs_factors(name) and METRICS.takes_real_factors(name)}
    assert real == {"mcc"}


def test_which_metrics_need_factors():
    alone = {name for name in METRICS if not needs_factors(name)}
    assert alone == {
        "gaussian_total_correlation",
        "intrinsic_dimension",
        "wasserstein_correlation",
        "average_mutual_information",
    }
    with pytest.raises(UnknownNameError):
        needs_factors("nothing")
