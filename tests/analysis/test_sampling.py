"""The sampler against a law that is known in closed form."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyrovae.analysis.sampling import Sampling, run_nuts
from pyrovae.measures.arviz import ess, rhat

#: Standard deviations a thousandfold apart, all correlated.
SCALES = torch.tensor([0.01, 0.3, 10.0], dtype=torch.float64)
MEAN = torch.tensor([5.0, -1.0, 30.0], dtype=torch.float64)
COVARIANCE = SCALES[:, None] * SCALES * (0.1 * torch.eye(3) + 0.9).double()


def model() -> None:
    pyro.sample("x", dist.MultivariateNormal(MEAN, COVARIANCE))
    pyro.sample("spread", dist.HalfNormal(torch.tensor(2.0, dtype=torch.float64)))


def test_a_skew_and_a_stretched_law_are_sampled_exactly() -> None:
    guess = {"x": MEAN + 3 * SCALES, "spread": torch.tensor(0.1, dtype=torch.float64)}
    sampling = Sampling(chains=2, draws=250, warmup=160, seed=1)
    draws, divergent = run_nuts(model, (), guess, sampling)
    assert divergent <= 0.008
    x, spread = draws["x"].numpy(), draws["spread"].numpy()
    assert x.shape == (2, 250, 3)
    assert spread.shape == (2, 250)
    # Uncorrelated draws at most: errors of means and deviations follow from the effective number.
    for values, law in (
        *((x[..., i], stats.norm(float(MEAN[i]), float(SCALES[i]))) for i in range(3)),
        (spread, stats.halfnorm(scale=2.0)),
    ):
        assert float(rhat(values)) < 1.03
        n = float(ess(values, "bulk"))
        assert n > 100
        assert values.mean() == pytest.approx(law.mean(), abs=5 * law.std() / n**0.5)
        assert values.std() == pytest.approx(law.std(), rel=5 / n**0.5)
    correlation = np.corrcoef(x.reshape(-1, 3).T)[0, 1]
    assert correlation == pytest.approx(0.9, abs=0.05)
