"""Bounds between the ELBO and the importance-weighted one, where log p(x) is known."""

from __future__ import annotations

import pyro
import pytest
import torch
from distributions.checks import assert_mean

from objectives.gaussian import LinearGaussian, data, draws
from pyrovae.models.sites import terms, trace_pair
from pyrovae.objectives import Ciwae, Elbo, Iwae, Miwae, Objective, Piwae


def _gradient(vae: LinearGaussian, objective: Objective, x: torch.Tensor) -> dict:
    """Return the gradient of each parameter, of the draws of one seed."""
    pyro.set_rng_seed(3)
    hyper = {k: torch.tensor(v) for k, v in objective.hyperparameters(0).items()}
    loss, _ = objective(vae, x, hyper, len(x))
    names, parameters = zip(*vae.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return dict(zip(names, found, strict=True))


def test_the_order_of_bounds_is_the_papers() -> None:
    """ELBO < MIWAE(4, 4) < IWAE(16) < log p(x), and CIWAE in between its two."""
    vae, x = LinearGaussian(exact=True, widened=2.5), data()
    bounds, errors = [], []
    for objective in (Elbo(), Miwae(particles=4, bounds=4), Iwae(particles=16)):
        values = -draws(vae, objective, x, 500)
        bounds.append(values.mean())
        errors.append(values.std() / 500**0.5)
    for low, high in ((0, 1), (1, 2)):
        assert bounds[high] - bounds[low] > 4 * (errors[low] ** 2 + errors[high] ** 2).sqrt()
    assert bounds[-1] < vae.log_px(x).mean() + 4 * errors[-1]
    # A bound of four particles, whatever their number.
    assert_mean(
        -draws(vae, Miwae(particles=4, bounds=4), x, 500) + draws(vae, Iwae(particles=4), x, 500),
        0.0,
    )
    mixed = -draws(vae, Ciwae(particles=16), x, 500, beta=0.3)
    assert_mean(mixed, 0.3 * vae.elbo(x).mean().detach() + 0.7 * bounds[2].detach(), errors=5)


def test_every_bound_is_log_px_where_the_guide_is_exact() -> None:
    vae, x = LinearGaussian(exact=True), data()
    expected = -vae.log_px(x).mean().detach().expand(3)
    for objective in (Miwae(particles=2, bounds=3), Piwae(particles=2, bounds=3)):
        torch.testing.assert_close(draws(vae, objective, x, 3), expected)
    torch.testing.assert_close(draws(vae, Ciwae(particles=4), x, 3, beta=0.5), expected)


@pytest.mark.parametrize("particles", [1, 3])
def test_each_half_of_piwae_climbs_its_own_bound(particles: int) -> None:
    """Of the same draws: p's gradient is that of IWAE, q's that of MIWAE."""
    vae, x = LinearGaussian(exact=True, widened=2.0), data(3)
    found = _gradient(vae, Piwae(particles=particles, bounds=4), x)
    tight = _gradient(vae, Iwae(particles=4 * particles), x)
    loose = _gradient(vae, Miwae(particles=particles, bounds=4), x)
    for name, gradient in found.items():
        of, other = (loose, tight) if vae.is_guide_parameter(name) else (tight, loose)
        torch.testing.assert_close(gradient, of[name])
        assert not torch.allclose(gradient, other[name], rtol=1e-3)


def test_a_bound_is_a_mean_over_blocks_of_weights() -> None:
    vae, x = LinearGaussian(exact=True, widened=2.0), data(5)
    pyro.set_rng_seed(0)
    found = terms(*trace_pair(vae.model, vae.guide, x, samples=6))
    weights = found.log_weight.exp()
    by_hand = sum(weights[2 * m : 2 * m + 2].mean(0).log().mean() for m in range(3)) / 3
    torch.testing.assert_close(Miwae(particles=2, bounds=3).loss(found, {}), -by_hand)
