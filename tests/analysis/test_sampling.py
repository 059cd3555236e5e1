"""The sampler against a law that is known in closed form."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import NUTS
from scipy import stats

from pyrovae.analysis import sampling as module
from pyrovae.analysis.sampling import CAREFUL, Sampling, run_nuts
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
    draws, divergent = run_nuts(model, guess, sampling)
    assert divergent <= 4
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


@pytest.mark.parametrize(
    ("accept", "asked"), [(0.85, [0.85] * 4 + [CAREFUL] * 2), (0.96, [0.96] * 4)]
)
def test_chains_that_diverge_too_often_are_run_once_more_with_shorter_steps(
    accept: float, asked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pilot and chains, two of each; then the chains again, unless steps were short already."""
    seen: list[float] = []

    class Seen(NUTS):
        def __init__(self, *, target_accept_prob: float, **rest: object) -> None:
            seen.append(target_accept_prob)
            super().__init__(target_accept_prob=target_accept_prob, **rest)

    monkeypatch.setattr(module, "NUTS", Seen)
    monkeypatch.setattr(module, "MAX_DIVERGENT", -1.0)  # Not even none is few enough.
    guess = {"x": MEAN, "spread": torch.tensor(1.0, dtype=torch.float64)}
    sampling = Sampling(chains=2, draws=60, warmup=40, target_accept=accept, seed=2)
    draws, _ = run_nuts(model, guess, sampling)
    assert seen == asked
    x = draws["x"].numpy()
    assert x.shape == (2, 60, 3)
    for i in range(3):
        error = float(SCALES[i]) / float(ess(x[..., i], "bulk")) ** 0.5
        assert x[..., i].mean() == pytest.approx(float(MEAN[i]), abs=5 * error)
