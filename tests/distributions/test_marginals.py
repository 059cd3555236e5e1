"""The one-dimensional marginals are those of the joint law's draws."""

from __future__ import annotations

import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Distribution

from distributions.checks import assert_mean
from pyrovae.distributions import marginals

G = torch.Generator().manual_seed(0)


def rand(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=G, dtype=torch.float64)


def mixture(*batch: int) -> Distribution:
    parts = dist.Normal(rand(*batch, 5, 3), 0.2 + rand(*batch, 5, 3).abs()).to_event(1)
    return dist.MixtureSameFamily(dist.Categorical(logits=rand(*batch, 5)), parts)


LAWS: dict[str, Distribution] = {
    "independent": dist.Laplace(rand(2, 3), rand(2, 3).abs()).to_event(1),
    "full_rank": dist.MultivariateNormal(
        rand(2, 3), scale_tril=rand(2, 3, 3).tril(-1) + torch.eye(3)
    ),
    "low_rank": dist.LowRankMultivariateNormal(rand(2, 3), rand(2, 3, 2), rand(2, 3).abs()),
    "mixture": mixture(),
    "batch_of_mixtures": mixture(2),
}


@pytest.mark.parametrize("name", LAWS)
def test_marginals_have_the_probabilities_of_the_joint_law(name: str) -> None:
    joint = LAWS[name]
    parts = marginals(joint)
    assert parts.batch_shape == (*joint.batch_shape, 3)
    assert parts.event_shape == ()
    z = joint.sample((20_000,))
    assert_mean(z, parts.mean)
    assert_mean((z - parts.mean) ** 2, parts.variance)
    for level in (-1.0, 0.1, 0.8):
        at = torch.full((*joint.batch_shape, 3), level, dtype=torch.float64)
        expected = _cdf(parts, at)
        off = ((z <= level).double().mean(0) - expected).abs()
        assert (off < 4 * (expected * (1 - expected) / len(z)).sqrt() + 2e-4).all()


def _cdf(law: Distribution, at: torch.Tensor) -> torch.Tensor:
    """Return the distribution function, by quadrature of the density, to 2e-4."""
    grid = torch.linspace(-30, 0, 30_001, dtype=torch.float64).reshape(-1, *[1] * at.dim())
    return torch.trapezoid(law.log_prob(at + grid).exp(), dx=0.001, dim=0)


def test_unknown_families_and_matrices_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="Dirichlet"):
        marginals(dist.Dirichlet(torch.ones(3)))
    with pytest.raises(NotImplementedError, match="vectors"):
        marginals(dist.Normal(torch.zeros(2, 3), 1.0).to_event(2))
