"""Nearest-neighbour densities against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Laplace, Normal, Uniform

from pyrovae.distributions import unit_kl, unit_moments
from pyrovae.distributions.flow import Flow
from pyrovae.distributions.nearest import entropy, log_density

LAWS = [Normal(1.0, 2.0), Laplace(0.0, 1.0), Uniform(-1.0, 3.0)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_entropy(law: torch.distributions.Distribution) -> None:
    drawn = law.sample((64, 20_000))
    estimates = entropy(drawn)
    assert estimates.shape == (20_000,)
    # Bias at 64 draws, where the density has an edge or a tail, besides 5 standard errors.
    assert abs(estimates.mean() - law.entropy()) < 0.03 + 5 * estimates.std() / 20_000**0.5


def test_entropy_by_hand() -> None:
    # Four draws 0, 1, 3, 7: the third neighbours are at distances 7, 6, 4 and 7.
    mean_log = (2 * math.log(7) + math.log(6) + math.log(4)) / 4
    psi = (1 + 1 / 2 + 1 / 3) - (1 + 1 / 2)  # psi(4) - psi(3)
    found = entropy(torch.tensor([3.0, 0.0, 7.0, 1.0]))
    assert found.item() == pytest.approx(psi + math.log(2) + mean_log, rel=1e-6)


@pytest.mark.parametrize("law", LAWS[:2], ids=lambda law: type(law).__name__)
def test_log_density(law: torch.distributions.Distribution) -> None:
    places = torch.stack([law.mean + law.stddev * t for t in (-1.0, 0.3, 1.5)]).unsqueeze(-1)
    found = torch.stack([log_density(places, law.sample((5000, 1))) for _ in range(200)])
    error = found.std(0) / 200**0.5
    assert ((found.mean(0) - law.log_prob(places)).abs() < 0.01 + 5 * error).all()


def test_units_of_a_flow_agree_with_the_normal_law_that_it_is() -> None:
    import zuko

    base = Normal(torch.zeros(300, 2), torch.ones(300, 2))
    scale, loc = torch.tensor([0.5, 1.0]), torch.tensor([1.0, 0.0])
    affine = zuko.transforms.DependentTransform(
        zuko.transforms.MonotonicAffineTransform(loc, scale.log()), 1
    )
    q = Flow(torch.distributions.Independent(base, 1), affine)
    exact_q = Normal(loc, torch.exp(scale.log() / (1 + (scale.log() / math.log(1e-3)).abs())))
    p = torch.distributions.Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    mean, variance = unit_moments(q, 256)
    torch.testing.assert_close(mean.mean(0), loc, atol=0.02, rtol=0)
    torch.testing.assert_close(variance.mean(0), exact_q.variance, atol=0.02, rtol=0)
    exact = torch.distributions.kl_divergence(exact_q, Normal(0.0, 1.0))
    # Bias at 64 draws.
    torch.testing.assert_close(unit_kl(q, p, 64).mean(0), exact, atol=0.03, rtol=0)
    # And with the prior's density from draws as well.
    zero = torch.zeros(2)
    same = zuko.transforms.DependentTransform(
        zuko.transforms.MonotonicAffineTransform(zero, zero), 1
    )
    again = unit_kl(q, Flow(p, same), 64).mean(0)
    torch.testing.assert_close(again, exact, atol=0.06, rtol=0)
