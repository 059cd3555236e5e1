"""Mixtures: density, draws, and derivatives that are right on average, the weights' included."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from distributions.checks import (
    assert_draws_follow,
    assert_mean,
    integral,
    integral_2d,
    pathwise_gradient_error,
)
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, NormalMixture

LOGITS = torch.tensor([0.3, -0.5, 1.0], dtype=torch.float64)
LOC = torch.tensor([-1.0, 0.4, 1.5], dtype=torch.float64)
SCALE = torch.tensor([0.5, 0.3, 0.8], dtype=torch.float64)
# Dimensions that depend on each other through the component.
LOC_2 = torch.stack([LOC, LOC.flip(0) * 0.7], -1)
SCALE_2 = torch.stack([SCALE, SCALE.roll(1)], -1)


def test_scalar_density_and_draws() -> None:
    law = NormalMixture(LOGITS, LOC, SCALE)
    assert integral(law.log_prob, -12, 12).item() == pytest.approx(1, abs=1e-3)
    weights = LOGITS.softmax(0).numpy()

    def cdf(x: Tensor) -> Tensor:
        return stats.norm.cdf(x[:, None], LOC.numpy(), SCALE.numpy()) @ weights

    assert_draws_follow(law.rsample((20_000,)), cdf)


def f(z: Tensor) -> Tensor:
    return torch.tanh(z) ** 2 + 0.3 * z


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("what", ["logits", "loc", "scale"])
def test_scalar_draws_have_unbiased_derivatives(what: str, k: int) -> None:
    n = 40_000

    def law(value: Tensor) -> NormalMixture:
        parameters = {"logits": LOGITS, "loc": LOC, "scale": SCALE}
        spread = parameters[what].expand(len(value), 3).clone()
        spread[:, k] = value
        return NormalMixture(**{**parameters, what: spread})

    start = {"logits": LOGITS, "loc": LOC, "scale": SCALE}[what][k]
    off, error = pathwise_gradient_error(law, start.expand(n), f)
    assert 0 < error < 0.02
    assert abs(off) < 4 * error


def test_vector_density_and_draws() -> None:
    law = DiagonalNormalMixture(LOGITS, LOC_2, SCALE_2)
    torch.testing.assert_close(
        integral_2d(law.log_prob, 8), torch.tensor(1.0, dtype=torch.float64), rtol=0, atol=1e-3
    )
    z = law.rsample((20_000,))
    assert_mean(z, law.mean)
    assert_mean((z - law.mean) ** 2, law.variance)
    # The dependence, which one dimension alone does not show.
    weights = LOGITS.softmax(0)
    assert_mean(z.prod(-1), (weights * LOC_2.prod(-1)).sum())
    direction = torch.tensor([0.6, 0.8], dtype=torch.float64)
    loc, scale = LOC_2 @ direction, ((SCALE_2 * direction) ** 2).sum(-1).sqrt()

    def cdf(x: Tensor) -> Tensor:
        return stats.norm.cdf(x[:, None], loc.numpy(), scale.numpy()) @ weights.numpy()

    assert_draws_follow(z @ direction, cdf)


def test_vector_draws_have_unbiased_derivatives() -> None:
    n = 40_000
    parameters = [t.clone() for t in (LOGITS, LOC_2, SCALE_2)]
    axis = torch.linspace(-7, 7, 301, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)

    def g(z: Tensor) -> Tensor:
        return torch.tanh(z[..., 0] * z[..., 1]) + 0.2 * z[..., 1]

    truth = []
    for i in range(3):
        own = [t.clone().requires_grad_(j == i) for j, t in enumerate(parameters)]
        density = DiagonalNormalMixture(*own).log_prob(grid).exp()
        total = torch.trapezoid(torch.trapezoid(g(grid) * density, axis), axis)
        truth.append(torch.autograd.grad(total, own[i])[0])
    many = [t.expand(n, *t.shape).clone().requires_grad_() for t in parameters]
    z = DiagonalNormalMixture(*many).rsample()
    for found, expected in zip(torch.autograd.grad(g(z).sum(), many), truth, strict=True):
        assert (found.std(0) / n**0.5 < 0.02).all()
        assert_mean(found, expected)


def test_draws_far_in_the_tails_have_finite_derivatives() -> None:
    loc = torch.tensor([[-40.0, 40.0]], requires_grad=True)
    logits = torch.tensor([[0.0, 30.0]], requires_grad=True)
    z = NormalMixture(logits, loc, torch.full((1, 2), 1e-3)).rsample((1000,))
    for gradient in torch.autograd.grad(z.sum(), (loc, logits)):
        assert gradient.isfinite().all()


def test_expand() -> None:
    scalar = NormalMixture(LOGITS, LOC, SCALE).expand((4, 2))
    assert scalar.rsample((3,)).shape == (3, 4, 2)
    vector = DiagonalNormalMixture(LOGITS, LOC_2, SCALE_2).expand((4,))
    z = vector.rsample((3,))
    assert z.shape == (3, 4, 2)
    torch.testing.assert_close(
        vector.log_prob(z), DiagonalNormalMixture(LOGITS, LOC_2, SCALE_2).log_prob(z)
    )
