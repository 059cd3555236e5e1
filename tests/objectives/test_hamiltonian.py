"""Leapfrog steps by hand, and a weight whose mean is p(x)."""

from __future__ import annotations

import math

import pyro
import pytest
import torch
from families import small_images, small_vae
from torch.autograd.functional import jacobian

from objectives.gaussian import LATENT, LinearGaussian, data
from pyrovae.core.errors import ConfigError
from pyrovae.measures.flops import step_flops
from pyrovae.objectives import Elbo, Hamiltonian
from pyrovae.training import LossProgram


def made(**parameters: float) -> tuple[LinearGaussian, Hamiltonian]:
    vae, objective = LinearGaussian(), Hamiltonian(**parameters)  # type: ignore[arg-type]
    objective.double()
    objective.prepare(vae)
    return vae, objective


def test_the_steps_by_hand() -> None:
    vae, objective = made(steps=2, step_size=0.1, temperature=0.5)
    with torch.no_grad():
        objective.raw_size.add_(torch.tensor([0.3, -0.4]))
    size, x = objective.step_size.detach(), data(3)
    z, noise = torch.randn(2, 3, LATENT, dtype=torch.float64)

    def push(codes: torch.Tensor) -> torch.Tensor:  # by the model's matrices
        miss = x - codes @ vae.loading.T - vae.mean
        return miss @ vae.loading / 0.6**2 - codes

    codes, momentum = z, noise / 0.5**0.5
    beta = [1 / ((1 - 2**0.5) * (k / 2) ** 2 + 2**0.5) ** 2 for k in range(3)]
    assert beta[2] == pytest.approx(1)
    for k in (1, 2):
        half = momentum + size / 2 * push(codes)
        codes = codes + size * half
        momentum = (half + size / 2 * push(codes)) * (beta[k - 1] / beta[k]) ** 0.5

    def log_joint(at: torch.Tensor) -> torch.Tensor:
        return (vae.decode(at).log_prob(x) + vae.prior_law().log_prob(at)).sum()

    found = objective.flow(log_joint, z, noise)
    torch.testing.assert_close(found[0], codes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], momentum, atol=1e-4, rtol=1e-4)

    def one(start: torch.Tensor) -> torch.Tensor:  # of the first datum, whose x all have
        both = start.expand(3, -1).split(LATENT, -1)
        return torch.cat(objective.flow(log_joint, *both), -1)[0]

    # From codes and noise, the Jacobian is that of rho_0 by gamma, cooled: one in all.
    total = jacobian(one, torch.cat([z[0], noise[0]]))
    assert float(torch.linalg.det(total)) == pytest.approx(1, rel=1e-6)


def test_the_weight_has_mean_p_of_x_and_its_bound_is_tighter() -> None:
    x, n = data(4), 4000
    vae, objective = made(steps=3, step_size=0.15, temperature=0.8)
    many = x.repeat(n, 1)
    pyro.set_rng_seed(0)
    with torch.no_grad():
        _, found = objective(vae, many, {}, len(many))
        _, plain = Elbo()(vae, many, {}, len(many))
        log_weight = -(found.distortion + found.rate).reshape(n, 4)
        weight = (log_weight - vae.log_px(x)).exp()
        bound = -(plain.distortion + plain.rate).reshape(n, 4).mean(0)
    error = weight.std(0) / math.sqrt(n)
    assert ((weight.mean(0) - 1).abs() < 4 * error).all()
    assert error.max() < 0.2
    assert (log_weight.mean(0) > bound + 0.2).all()
    assert (log_weight.mean(0) < vae.log_px(x)).all()


def test_its_operations_are_counted() -> None:
    vae = small_vae(latent_dim=2)
    x = small_images(8).float() / 255
    plain, own = (step_flops(LossProgram(vae, o), x) for o in (Elbo(), Hamiltonian(steps=2)))
    assert own > 2 * plain  # two gradients at each of two steps


def test_step_sizes_and_temperature_are_learned() -> None:
    vae, objective = made(steps=2)
    loss, _ = objective(vae, data(5), {}, 5)
    loss.backward()
    for parameter in (*objective.parameters(), *vae.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
    with pytest.raises(ConfigError, match="step_size: must be below largest"):
        Hamiltonian(step_size=0.5)
