"""Posteriors without chains against quadrature in two dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from pyrovae.claims.exact import common_mean

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
