"""Batched NUTS against exact posteriors, difficult targets and Pyro's own NUTS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from families import small_images, small_vae
from pyro.infer import MCMC, NUTS
from torch import Tensor

from measures.posterior.linear import data, linear_vae, rotated
from pyrovae.datasets.base import as_float
from pyrovae.datasets.linear_gaussian import exact_posterior
from pyrovae.measures.arviz import ess
from pyrovae.measures.posterior import nuts, warmup
from pyrovae.measures.posterior.density import Density, Evaluated


def formula(log_density: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Evaluated]:
    """Return a target given by a formula of ``(b, d)``."""

    def evaluate(z: Tensor) -> Evaluated:
        gradient = torch.func.grad(lambda at: log_density(at).sum())(z)
        return Evaluated(log_density(z), z.new_zeros(len(z)), gradient, torch.zeros_like(z))

    return evaluate


def run(target: Any, start: Tensor, warm: int = 100, draws: int = 100, **more: Any) -> nuts.Samples:
    generator = torch.Generator().manual_seed(1)
    return nuts.sample(target, start, warmup=warm, draws=draws, generator=generator, **more)


def assert_mean(draws: Tensor, expected: Tensor | float) -> None:
    """Compare a mean over (chain, draw) with its expectation: five standard errors by its ESS."""
    size = torch.as_tensor(ess(draws.numpy(), "bulk"))
    error = draws.flatten(0, 1).std(0) / size.sqrt()
    assert ((draws.mean((0, 1)) - expected).abs() < 5 * error).all()


def test_places_follow_the_publication() -> None:
    # Phan et al. 2019 and NumPyro: leaf 6 = 110 is saved at 2; leaf 7 = 111 ends subtrees at 2, 1
    # and 0; leaf 13 = 1101 ends the one at 2.
    places = nuts.check_places(5)
    assert places[6, 0] == 2
    assert places[7].tolist() == [2, 0]
    assert places[13].tolist() == [2, 2]
    # Whoever ends a balanced subtree of 2^k leaves finds its first leaf where that was saved.
    for leaf in range(1, 16, 2):
        last, first = places[leaf].tolist()
        size = 2
        for place in range(last, first - 1, -1):
            begins = leaf - size + 1
            assert begins % size == 0
            assert places[begins, 0] == place
            size *= 2


def test_windows_are_stans() -> None:
    assert warmup.window_ends(1000) == [99, 149, 249, 449, 949]
    assert warmup.window_ends(100) == [89]
    assert warmup.window_ends(0) == []


def test_correlated_normal_with_scales_of_all_sizes() -> None:
    d = 4
    torch.manual_seed(0)
    scales = torch.logspace(-0.7, 0.7, d)
    correlation = 0.6 * torch.ones(d, d) + 0.4 * torch.eye(d)
    covariance = scales[:, None] * correlation * scales
    precision, mean = torch.linalg.inv(covariance), torch.arange(d).float()

    def log_density(z: Tensor) -> Tensor:
        r = z - mean
        return -0.5 * ((r @ precision) * r).sum(-1)

    found = run(formula(log_density), mean + 3 * torch.randn(64, d), warm=80, draws=50)
    assert not found.diverging.any()
    assert_mean(found.z, mean)
    assert_mean((found.z - mean) ** 2, covariance.diagonal())
    product = (found.z[..., :-1] - mean[:-1]) * (found.z[..., 1:] - mean[1:])
    assert_mean(product, covariance.diagonal(1))
    assert 0.7 < found.acceptance_rate.mean() < 0.95


def test_heavy_tails() -> None:
    # Student t, df 5: E|z| = 2 sqrt(5) / (4 B(5/2, 1/2)), Var = 5/3.
    law = torch.distributions.StudentT(5.0)
    found = run(formula(lambda z: law.log_prob(z).sum(-1)), torch.randn(64, 2))
    beta = math.exp(math.lgamma(2.5) + math.lgamma(0.5) - math.lgamma(3.0))
    assert_mean(found.z.abs(), 2 * math.sqrt(5) / (4 * beta))
    assert_mean(found.z, 0.0)


@pytest.mark.slow
def test_banana() -> None:
    # z1 ~ N(0, 1), z2 | z1 ~ N(z1², 0.5²).
    def log_density(z: Tensor) -> Tensor:
        return -0.5 * z[:, 0] ** 2 - 0.5 * ((z[:, 1] - z[:, 0] ** 2) / 0.5) ** 2

    found = run(formula(log_density), torch.randn(96, 2), draws=60)
    assert_mean(found.z, torch.tensor([0.0, 1.0]))
    assert_mean(found.z**2, torch.tensor([1.0, 3.25]))


@pytest.mark.slow
def test_funnel_diverges_and_says_so() -> None:
    # Neal's funnel in centred form cannot be sampled with one step size.
    def log_density(z: Tensor) -> Tensor:
        v, x = z[:, 0], z[:, 1:]
        return -(v**2) / 18 - 0.5 * (x**2 * (-v)[:, None].exp() + v[:, None]).sum(-1)

    found = run(formula(log_density), torch.randn(16, 6), warm=40, draws=40, max_depth=5)
    assert found.diverging.any()


def test_chains_of_different_targets_do_not_wait_or_mix() -> None:
    # Widths from 0.05 to 20: each chain tunes itself.
    width = torch.logspace(math.log10(0.05), math.log10(20), 16)[:, None]
    centre = torch.arange(16.0)[:, None]
    found = run(formula(lambda z: -0.5 * (((z - centre) / width) ** 2).sum(-1)), torch.randn(16, 2))
    standardised = (found.z - centre[:, None]) / width[:, None]
    assert_mean(standardised, 0.0)
    assert_mean(standardised**2, 1.0)
    assert (found.step_size[0, 0] < found.step_size[-1, 0]) or found.step_size.std() < 0.5


def test_posterior_of_a_linear_model_is_exact() -> None:
    made = data()
    exact = rotated(made.exact)
    x = made.test.floats(slice(4))
    mean, covariance = exact_posterior(exact, x)
    chains = 16
    density = Density(linear_vae(exact), x.repeat(chains, 1))
    found = run(density, density.draw_prior(torch.Generator().manual_seed(0)))
    z = found.z.unflatten(0, (chains, 4)).transpose(1, 2)  # chain, draw, datum, latent
    assert_mean(z, mean.float())
    assert_mean((z - mean) ** 2, covariance.diagonal().float())
    assert_mean((z - mean)[..., 0] * (z - mean)[..., 1], covariance[0, 1].float())


def test_agrees_with_pyros_nuts_on_a_neural_decoder() -> None:
    vae = small_vae(latent_dim=2)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(3)
    x = as_float(small_images())[:1]
    mcmc = MCMC(NUTS(vae.model), num_samples=150, warmup_steps=60, disable_progbar=True)
    mcmc.run(x)
    theirs = mcmc.get_samples()["z"].movedim(1, 0)  # one chain
    density = Density(vae, x.repeat(16, 1, 1, 1))
    start = density.draw_prior(torch.Generator().manual_seed(0))
    ours = run(density, start, warm=60, draws=60).z
    for power in (1, 2):
        a, b = ours**power, theirs**power
        errors = [v.flatten(0, 1).var(0) / torch.as_tensor(ess(v.numpy(), "bulk")) for v in (a, b)]
        difference = (a.mean((0, 1)) - b.mean((0, 1))).abs()
        assert (difference < 5 * (errors[0] + errors[1]).sqrt()).all()


def test_draws_depend_on_the_generator_alone() -> None:
    target, start = formula(lambda z: -0.5 * (z**2).sum(-1)), torch.zeros(2, 2)
    before = torch.get_rng_state()
    first, second = (run(target, start, warm=20, draws=10) for _ in range(2))
    assert torch.equal(first.z, second.z)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_compiled_step_gives_the_same_law() -> None:
    found = run(formula(lambda z: -0.5 * (z**2).sum(-1)), torch.randn(16, 3), compiled=True)
    assert_mean(found.z, 0.0)
    assert_mean(found.z**2, 1.0)
