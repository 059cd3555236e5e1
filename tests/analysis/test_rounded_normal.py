"""The law of counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pyrovae.analysis.rounded_normal import RoundedNormal


def law(loc: float, scale: float, total: int) -> RoundedNormal:
    return RoundedNormal(
        *(torch.tensor(float(v), dtype=torch.float64) for v in (loc, scale, total))
    )


@given(st.floats(-5, 40), st.floats(0.05, 20), st.integers(1, 32))
@settings(max_examples=60, deadline=None)
def test_it_is_a_law_with_that_mean(loc: float, scale: float, total: int) -> None:
    d, k = law(loc, scale, total), torch.arange(total + 1, dtype=torch.float64)
    p = d.log_prob(k).exp()
    assert p.sum() == pytest.approx(1, abs=1e-9)
    assert d.mean == pytest.approx(float((p * k).sum()), abs=1e-8)


def test_it_is_the_normal_laws_mass_between_halves() -> None:
    d, normal = law(7.3, 1.7, 32), stats.norm(7.3, 1.7)
    for k in range(1, 32):
        exact = (
            normal.cdf(k + 0.5) - normal.cdf(k - 0.5)
            if k < 9
            else normal.sf(k - 0.5) - normal.sf(k + 0.5)
        )
        assert float(d.log_prob(torch.tensor(float(k)))) == pytest.approx(np.log(exact), rel=1e-9)
    assert float(d.log_prob(torch.tensor(0.0))) == pytest.approx(normal.logcdf(0.5))


@pytest.mark.parametrize("value", [0.0, 3.0, 16.0, 32.0])
@pytest.mark.parametrize("loc", [-2.0, 3.2, 31.0, 34.0])
def test_gradients_are_finite_and_right(value: float, loc: float) -> None:
    at = torch.tensor([loc, 0.7], dtype=torch.float64, requires_grad=True)

    def log_prob(parts: torch.Tensor) -> torch.Tensor:
        total = torch.tensor(32.0, dtype=torch.float64)
        return RoundedNormal(parts[0], parts[1], total).log_prob(torch.tensor(value).double())

    assert torch.autograd.gradcheck(log_prob, (at,), rtol=1e-4)


def test_samples_follow_it() -> None:
    d = law(1.2, 1.5, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = d.sample((20_000,))
    counts = np.bincount(drawn.long().numpy(), minlength=5)
    expected = d.log_prob(torch.arange(5).double()).exp().numpy() * len(drawn)
    assert stats.chisquare(counts, expected).pvalue > 1e-5
