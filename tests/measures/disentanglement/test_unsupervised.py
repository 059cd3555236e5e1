"""Scores of the codes alone, against closed forms for Gaussians."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from pyrovae.measures.disentanglement import (
    average_mutual_information,
    gaussian_total_correlation,
    wasserstein_correlation,
)


def with_covariance(covariance, n=5_000):
    """Points whose sample covariance is the given one, to rounding."""
    points = np.random.default_rng(0).normal(size=(n, len(covariance)))
    points -= points.mean(axis=0)
    whitened = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    return whitened @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 0.99])
def test_gaussian_total_correlation_of_two(rho):
    score = gaussian_total_correlation(with_covariance([[4.0, 2 * rho], [2 * rho, 1.0]])).score
    assert score == pytest.approx(-0.5 * np.log(1 - rho**2), abs=1e-9)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 0.99])
def test_wasserstein_correlation_of_two(rho):
    """Unit variances: C has eigenvalues 1 ± rho, and the distance is 4 - 2 (√(1+ρ) + √(1-ρ))."""
    result = wasserstein_correlation(with_covariance([[1.0, rho], [rho, 1.0]]))
    expected = 4 - 2 * (np.sqrt(1 + rho) + np.sqrt(1 - rho))
    assert result.score == pytest.approx(expected, abs=1e-9)
    assert result.parts["normalized"] == pytest.approx(expected / 2, abs=1e-9)


def test_wasserstein_correlation_by_the_general_formula():
    a = np.random.default_rng(1).normal(size=(4, 4))
    covariance = a @ a.T
    diagonal = np.diag(np.diag(covariance))
    root = sqrtm(diagonal)
    expected = np.trace(covariance + diagonal - 2 * sqrtm(root @ covariance @ root).real)
    assert wasserstein_correlation(with_covariance(covariance)).score == pytest.approx(expected)


def test_a_repeated_code_is_infinitely_dependent():
    codes = np.random.default_rng(0).normal(size=(100, 2))
    assert gaussian_total_correlation(np.column_stack([codes, codes[:, 0]])).score == np.inf


@pytest.mark.parametrize("metric", [gaussian_total_correlation, wasserstein_correlation])
def test_a_constant_code_adds_nothing(metric):
    codes = np.random.default_rng(0).normal(size=(100, 3))
    padded = np.column_stack([codes, np.ones(100)])
    assert metric(padded).score == pytest.approx(metric(codes).score)


def test_average_mutual_information_by_hand():
    """Codes a, a, b of four equally frequent values: log 4 for one pair of three."""
    a, b = (m.ravel() for m in np.meshgrid(np.arange(4.0), np.arange(4.0)))
    result = average_mutual_information(np.stack([a, a, b], axis=1))
    assert result.score == pytest.approx(np.log(4) / 3)
    np.testing.assert_allclose(np.diag(result.parts["mutual_information"]), np.log(4))
    assert average_mutual_information(a[:, None]).score == 0
