"""Posteriors without chains against quadrature in two dimensions and known slopes."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyrovae.claims.exact import (
    Axis,
    Found,
    Stratum,
    common_mean,
    common_slope,
    farther,
    integrate,
    mean_of_strata,
    partial_slope,
)

CASES = {
    "one outlier": ([-1e-5, -1e-5, -3e-4, 2.2e-3], [5e-5, 7e-5, 4e-5, 8e-5]),
    "errors larger than the scatter": ([0.004, -0.006, 0.001], [0.01, 0.01, 0.02]),
    "one value": ([0.01], [1e-3]),
}


@pytest.mark.parametrize("name", CASES)
def test_common_mean_against_a_grid(name: str) -> None:
    value, error = (np.array(part) for part in CASES[name])
    scale = 0.005
    draws = common_mean(torch.tensor(value), torch.tensor(error), scale).draws
    mean = np.linspace(-20, 20, 8001) * scale
    log_scatter = np.linspace(-8.0, 4.0, 241)
    total = np.sqrt((np.exp(log_scatter)[:, None] * scale) ** 2 + error**2)  # (s, n)
    log = stats.norm.logpdf(log_scatter, -2.3, 1.0)[:, None] + stats.norm.logpdf(mean, 0, 5 * scale)
    for i, v in enumerate(value):
        log = log + stats.norm.logpdf(v, mean, total[:, i : i + 1])
    density = np.exp(log - log.max()).sum(0)
    below = np.cumsum(density) / density.sum()
    for level in (0.025, 0.2, 0.5, 0.8, 0.975):
        # 4,096 points of Sobol: levels are met to well below a hundredth.
        assert np.interp(np.quantile(draws, level), mean, below) == pytest.approx(level, abs=0.012)


def test_common_slope_of_one_well_measured_quantity() -> None:
    # Slope 0.5 is known to 0.03: the common one is off by the scatter, whose law is the prior's,
    # and the prior of the common one, N(0, 0.7²), draws it to 0.
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=400))
    x = (x - x.mean()) / x.std()
    y = torch.tensor(rng.normal(0, 0.6, 400))
    y = y + (0.5 - (x * y).sum() / (x * x).sum()) * x
    draws = common_slope(x, y[None]).draws
    scatter = np.exp(rng.normal(-1.6, 0.7, 200_000))
    # common | scatter is normal; scatters are weighted by how likely 0.5 is under them.
    total = np.sqrt(0.49 + scatter**2)
    weight = stats.norm.pdf(0.5, 0, total)
    gain = 0.49 / total**2
    made = rng.normal(0.5 * gain, np.sqrt(0.49 * (1 - gain)))
    made = rng.choice(made, 50_000, p=weight / weight.sum())
    for level in (0.05, 0.5, 0.95):
        assert np.quantile(draws, level) == pytest.approx(np.quantile(made, level), abs=0.03)


def test_common_slope_of_quantities_that_disagree_is_uncertain() -> None:
    rng = np.random.default_rng(1)
    x = torch.tensor(rng.normal(size=100))
    noise = torch.tensor(rng.normal(0, 0.3, (3, 100)))
    apart = common_slope(x, torch.tensor([[-0.8], [0.0], [0.8]]) * x + noise).draws
    alike = common_slope(x, torch.tensor([[0.5], [0.5], [0.5]]) * x + noise).draws
    assert (apart > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (alike > 0).mean() > 0.97
    assert apart.std() > 2 * alike.std()


def test_mean_of_strata_is_students_where_the_prior_is_wide() -> None:
    # Two strata of five: with a flat prior on the mean and on log σ, the mean less its estimate is
    # σ̂ √(1/10) times Student's t with 8 degrees of freedom.
    rng = np.random.default_rng(3)
    values = [rng.normal(centre, 0.3, 5) for centre in (1.0, 2.0)]
    found = mean_of_strata([Stratum.of_mean(v) for v in values], scale=1000.0, noise=0.3)
    squares = sum(((v - v.mean()) ** 2).sum() for v in values)
    size = np.sqrt(squares / 8 / 10)
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    theory = np.mean([v.mean() for v in values]) + size * stats.t.ppf(levels, 8)
    # log σ ~ N(log 0.3, 1) is not flat: it tells as much as one more run.
    assert np.quantile(found.draws, levels) == pytest.approx(theory, abs=0.12 * size)
    assert np.quantile(found.prior, 0.975) == pytest.approx(1960, rel=0.01)


def test_strata_without_a_second_run_are_each_others_noise() -> None:
    lone = [Stratum.of_mean([v]) for v in (0.1, 0.2, 0.3)]
    together = mean_of_strata([Stratum.of_mean([0.1, 0.2, 0.3])], scale=1.0, noise=0.1)
    found = mean_of_strata(lone, scale=1.0, noise=0.1)
    assert np.array_equal(found.draws, together.draws)


def test_a_difference_of_means_has_the_noise_of_both() -> None:
    made = Stratum.of_difference([1.0, 3.0], [5.0, 6.0, 7.0])
    assert made == Stratum(-4.0, 1 / 2 + 1 / 3, 2.0 + 2.0, 3)


def test_partial_slope_against_least_squares() -> None:
    # Of many data the ridge is nothing: the slope is that of least squares, of two regressors.
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 2)) @ np.array([[1.0, 0.9], [0.0, 0.45]])
    y = 0.2 * x[:, 0] + 0.5 * x[:, 1] + rng.normal(0, 0.3, 600)
    found = partial_slope(torch.tensor(x), torch.tensor(y))
    covariance = np.linalg.inv(x.T @ x)
    best = covariance @ x.T @ y
    sigma = np.sqrt(((y - x @ best) ** 2).sum() / 598)
    assert found.draws.mean() == pytest.approx(best[0], abs=0.003)
    assert found.draws.std() == pytest.approx(sigma * np.sqrt(covariance[0, 0]), rel=0.03)


def test_the_farther_of_two_quantities() -> None:
    near, far = Found(np.array([0.1, -0.1]), np.zeros(2)), Found(np.array([-2.0, -2.0]), np.ones(2))
    assert np.array_equal(farther(near, far).draws, far.draws)
    assert np.array_equal(farther(near, far).prior, np.ones(2))


def test_a_program_on_a_grid_against_the_conjugate_posterior() -> None:
    y = torch.tensor([0.8, 1.4, 1.1, 0.3], dtype=torch.float64)

    def program() -> None:
        one = torch.tensor(1.0, dtype=torch.float64)
        mean = pyro.sample("mean", dist.Normal(0 * one, 2.0))
        # Gamma(2, 1) on the precision: with an independent mean it is conjugate given either.
        precision = pyro.sample("precision", dist.Gamma(2 * one, 1.0))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Normal(mean, precision.rsqrt()), obs=y)

    axes = {"mean": Axis(-4.0, 6.0, 161), "precision": Axis(0.01, 40.0, 121, log=True)}
    mean, precision = integrate(program, axes, lambda at: (at["mean"], at["precision"]))
    # Precision integrated out by hand: the mean's density is N(0, 2²) times a Student t's kernel.
    grid = np.linspace(-4, 6, 20001)
    squares = ((y.numpy() - grid[:, None]) ** 2).sum(1)
    density = stats.norm.pdf(grid, 0, 2) * (1 + squares / 2) ** -(2 + len(y) / 2)
    below = np.cumsum(density) / density.sum()
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.interp(np.quantile(mean.draws, level), grid, below) == pytest.approx(
            level, abs=0.01
        )
    assert np.median(precision.prior) == pytest.approx(stats.gamma.median(2), rel=0.02)
    assert np.quantile(mean.prior, 0.9) == pytest.approx(2 * stats.norm.ppf(0.9), rel=0.02)
