"""Posteriors without chains against quadrature in two dimensions and known slopes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from pyrovae.claims.exact import common_mean, common_slope

CASES = {
    "one outlier": ([-1e-5, -1e-5, -3e-4, 2.2e-3], [5e-5, 7e-5, 4e-5, 8e-5]),
    "errors larger than the scatter": ([0.004, -0.006, 0.001], [0.01, 0.01, 0.02]),
    "one value": ([0.01], [1e-3]),
}


@pytest.mark.parametrize("name", CASES)
def test_common_mean_against_a_grid(name: str) -> None:
    value, error = (np.array(part) for part in CASES[name])
    scale = 0.005
    draws = common_mean(torch.tensor(value), torch.tensor(error), scale).numpy()
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
    draws = common_slope(x, y[None]).numpy()
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
    apart = common_slope(x, torch.tensor([[-0.8], [0.0], [0.8]]) * x + noise)
    alike = common_slope(x, torch.tensor([[0.5], [0.5], [0.5]]) * x + noise)
    assert (apart > 0).double().mean() == pytest.approx(0.5, abs=0.1)
    assert (alike > 0).double().mean() > 0.97
    assert apart.std() > 2 * alike.std()
