from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, multivariate_normal

from pyrovae.core.errors import ConfigError
from pyrovae.datasets import load_dataset
from pyrovae.datasets.linear_gaussian import exact_log_prob, exact_posterior

SCALES = [3.0, 1.0, 0.2]
DATA = load_dataset(
    "linear_gaussian", rank=3, dim=7, scales=SCALES, noise_scale=0.4, n_train=20_000, n_test=50
)
W, MEAN = DATA.exact["loading"].numpy(), DATA.exact["mean"].numpy()
COVARIANCE = W @ W.T + 0.4**2 * np.eye(7)


def test_loading_is_orthogonal_with_the_given_lengths() -> None:
    assert W.shape == (7, 3)
    assert np.allclose(W.T @ W, np.diag(np.square(SCALES)), atol=1e-12)
    assert DATA.exact["noise_scale"].item() == 0.4
    assert {tensor.dtype for tensor in DATA.exact.values()} == {torch.float64}


def test_principal_variances_are_as_documented() -> None:
    variances = np.linalg.eigvalsh(COVARIANCE)[::-1]
    assert np.allclose(variances, np.square([*SCALES, 0, 0, 0, 0]) + 0.4**2)


def test_sample_moments_are_the_model_s() -> None:
    x = DATA.train.values.double().numpy()
    n = len(x)
    # Whitened by the true covariance, entries of mean and covariance have standard errors
    # 1/sqrt(n), and sqrt(2/n) on the diagonal.
    white = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (x - MEAN).T)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(white @ white.T / n - np.eye(7)).max() < 5 * np.sqrt(2 / n)


def test_train_and_test_are_independent_draws() -> None:
    data = load_dataset("linear_gaussian", n_train=50, n_test=50)
    assert not torch.isclose(data.train.values, data.test.values).all(dim=1).any()


def test_sizes_do_not_move_the_parameters() -> None:
    few = load_dataset("linear_gaussian", n_train=5, n_test=9)
    many = load_dataset("linear_gaussian", n_train=50, n_test=9)
    assert torch.equal(few.exact["loading"], many.exact["loading"])
    assert torch.equal(few.test.values, many.test.values)


def test_log_prob_is_scipy_s() -> None:
    x = DATA.test.values
    expected = multivariate_normal(MEAN, COVARIANCE).logpdf(x.double().numpy())
    actual = exact_log_prob(DATA.exact, x)
    assert actual.dtype == torch.float64
    assert np.allclose(actual.numpy(), expected, rtol=1e-10)


def test_posterior_is_the_conditional_of_the_joint_gaussian() -> None:
    x = DATA.test.values.double().numpy()
    # (z, x) is normal with blocks I, Wᵀ, W and W Wᵀ + s² I: condition on x the textbook way.
    gain = W.T @ np.linalg.inv(COVARIANCE)
    mean, covariance = exact_posterior(DATA.exact, DATA.test.values)
    assert mean.shape == (50, 3)
    assert covariance.shape == (3, 3)
    assert np.allclose(mean.numpy(), (x - MEAN) @ gain.T, atol=1e-10)
    assert np.allclose(covariance.numpy(), np.eye(3) - gain @ W, atol=1e-10)


def test_density_and_posterior_satisfy_bayes_rule() -> None:
    # log p(x) = log p(z) + log p(x|z) - log p(z|x) for any z.
    z = np.random.default_rng(0).standard_normal((50, 3))
    x = DATA.test.values.double().numpy()
    mean, covariance = (tensor.numpy() for tensor in exact_posterior(DATA.exact, DATA.test.values))
    evidence = (
        multivariate_normal(np.zeros(3)).logpdf(z)
        + multivariate_normal(np.zeros(7), 0.16 * np.eye(7)).logpdf(x - z @ W.T - MEAN)
        - multivariate_normal(np.zeros(3), covariance).logpdf(z - mean)
    )
    assert np.allclose(evidence, exact_log_prob(DATA.exact, DATA.test.values).numpy(), atol=1e-8)


def test_mahalanobis_distances_are_chi_squared() -> None:
    x = DATA.train.values.double().numpy() - MEAN
    distances = np.einsum("ni,ij,nj->n", x, np.linalg.inv(COVARIANCE), x)
    quantiles = chi2(7).ppf([0.1, 0.5, 0.9])
    shares = (distances[:, None] < quantiles).mean(axis=0)
    assert np.abs(shares - [0.1, 0.5, 0.9]).max() < 5 * 0.5 / np.sqrt(len(x))


def test_default_scales_decrease() -> None:
    loading = load_dataset("linear_gaussian", rank=4).exact["loading"]
    lengths = loading.norm(dim=0)
    assert (lengths.diff() < 0).all()
    assert lengths[[0, -1]].tolist() == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"rank": 8, "dim": 7}, "rank"),
        ({"rank": 2, "scales": [1.0]}, "scales"),
        ({"rank": 1, "scales": [0.0]}, "scales.0"),
        ({"rank": 1, "scales": [float("inf")]}, "scales.0"),
        ({"noise_scale": 0.0}, "noise_scale"),
        ({"rank": 0}, "rank"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_dataset("linear_gaussian", **parameters)
    assert caught.value.place == place
