"""Laws on the sphere: area, density, draws, moments, divergence, derivatives."""

from __future__ import annotations

import math

import numpy as np
import pyro.distributions.constraints as constraints
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from distributions.checks import assert_draws_follow, assert_kl, assert_mean
from pyrovae.distributions import analytic_kl
from pyrovae.distributions.around_direction import AroundDirection
from pyrovae.distributions.bessel import log_tilt, mean_cosine
from pyrovae.distributions.power_spherical import PowerSpherical
from pyrovae.distributions.sphere import HypersphericalUniform
from pyrovae.distributions.sphere_coordinates import log_area
from pyrovae.distributions.von_mises_fisher import VonMisesFisher

FAMILIES = [VonMisesFisher, PowerSpherical]


def direction(dim: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(dim)
    return normalize(torch.randn(dim, generator=generator, dtype=torch.float64), dim=0).to(dtype)


def law(
    family: type, dim: int, kappa: float, dtype: torch.dtype = torch.float64
) -> AroundDirection:
    return family(direction(dim, dtype), torch.tensor(kappa, dtype=dtype))


def angle_density(family: type, dim: int, kappa: float, angle: np.ndarray) -> np.ndarray:
    """Return the density of the angle to the direction, up to a constant, from the definition."""
    if family is VonMisesFisher:
        tilt = np.exp(kappa * (np.cos(angle) - 1))
    else:
        tilt = ((1 + np.cos(angle)) / 2) ** kappa
    return tilt * np.sin(angle) ** (dim - 2)


@pytest.mark.parametrize("dim", [2, 3, 4, 11])
def test_area(dim: int) -> None:
    known = {2: 2 * math.pi, 3: 4 * math.pi, 4: 2 * math.pi**2, 11: 64 * math.pi**5 / 945}
    assert math.exp(log_area(dim)) == pytest.approx(known[dim])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kappa", [0.0, 1.0, 29.0, 31.0, 500.0])
@pytest.mark.parametrize("dim", [2, 3, 10])
def test_density_integrates_to_one(family: type, kappa: float, dim: int) -> None:
    # Rings around the direction: the integrand depends on the angle alone.
    angle = torch.linspace(1e-9, math.pi - 1e-9, 40_001, dtype=torch.float64)
    q = law(family, dim, kappa)
    across = normalize(torch.randn(dim, dtype=torch.float64), dim=0)
    across = normalize(across - (across @ q.loc) * q.loc, dim=0)
    x = angle.cos().unsqueeze(-1) * q.loc + angle.sin().unsqueeze(-1) * across
    ring = (log_area(dim - 1) if dim > 2 else math.log(2)) + (dim - 2) * angle.sin().log()
    total = integrate.simpson((q.log_prob(x) + ring).exp().numpy(), x=angle.numpy())
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_uniform_density_is_one_over_the_area(dim: int) -> None:
    uniform = HypersphericalUniform(torch.zeros(dim))
    x = uniform.sample((5,))
    torch.testing.assert_close(uniform.log_prob(x), torch.full((5,), -log_area(dim)))
    torch.testing.assert_close(
        law(VonMisesFisher, dim, 0.0, torch.float32).log_prob(x), uniform.log_prob(x)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("dim", "kappa"),
    [(2, 0.0), (2, 3.0), (2, 800.0), (3, 0.5), (3, 50.0), (8, 5.0), (8, 1e4), (100, 20.0)],
)
def test_angles_of_draws_follow_the_density(
    family: type, dim: int, kappa: float, dtype: torch.dtype
) -> None:
    q = law(family, dim, kappa, dtype)
    z = q.rsample((10_000,))
    assert constraints.sphere.check(z).all()
    angle = 2 * torch.asin(((z - q.loc).norm(dim=-1) / 2).clamp(max=1))
    reach = min(math.pi, 14 * math.sqrt(dim / max(kappa, 1e-3)))
    grid = np.linspace(0, reach, 100_001)
    cdf = integrate.cumulative_simpson(angle_density(family, dim, kappa, grid), x=grid, initial=0)
    assert_draws_follow(angle, lambda t: np.interp(t, grid, cdf / cdf[-1]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dim", [2, 3, 8])
def test_draws_are_isotropic_around_the_direction(family: type, dim: int) -> None:
    q = law(family, dim, 4.0)
    z = q.rsample((20_000,))
    assert_mean(z, q.mean)
    assert_mean((z - q.mean) ** 2, q.variance)
    across = z - (z @ q.loc).unsqueeze(-1) * q.loc
    # Uniform on the circle, in any plane across the direction.
    basis = torch.linalg.svd(q.loc.unsqueeze(0), full_matrices=True).Vh[1:]
    parts = across @ basis.T
    if dim == 2:
        assert_mean((parts[:, 0] > 0).double(), 0.5)
    else:
        turn = torch.atan2(parts[:, 0], parts[:, 1])
        assert_draws_follow(turn, stats.uniform(-math.pi, 2 * math.pi).cdf)


@pytest.mark.parametrize("dim", [2, 7])
def test_uniform_draws(dim: int) -> None:
    uniform = HypersphericalUniform(torch.zeros(dim, dtype=torch.float64))
    z = uniform.rsample((20_000,))
    # (1 + x_1) / 2 has a Beta law on the sphere.
    half = (dim - 1) / 2
    assert_draws_follow((1 + z[:, 0]) / 2, stats.beta(half, half).cdf)
    assert_mean(z, uniform.mean)
    assert_mean(z**2, uniform.variance)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dim", [2, 3, 10])
def test_kl_from_uniform_agrees_with_monte_carlo(family: type, dim: int) -> None:
    kappa = torch.tensor([0.1, 3.0, 29.9, 30.1, 300.0], dtype=torch.float64)
    q = family(direction(dim).expand(5, dim), kappa)
    p = HypersphericalUniform(torch.zeros(dim, dtype=torch.float64))
    closed = analytic_kl(q, p)
    assert closed is not None
    assert_kl(q, p, closed)
    torch.testing.assert_close(q.entropy(), log_area(dim) - closed)
    assert (closed.diff() > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_kl_is_accurate_in_single_precision(family: type) -> None:
    kappa = torch.tensor([0.0, 1e-3, 1.0, 100.0, 1e4, 1e5])
    single = family(direction(16, torch.float32).expand(6, 16), kappa).kl_from_uniform()
    double = family(direction(16).expand(6, 16), kappa.double()).kl_from_uniform()
    # The concentration times a mean log that is rounded to single precision: 1e5 * 6e-8.
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 4, 10, 64])
def test_normaliser_is_the_bessel_function(dim: int) -> None:
    v = dim / 2 - 1
    kappa = torch.cat(
        [torch.logspace(-3, 4, 50, dtype=torch.float64), torch.tensor([29.99999, 30.0, 30.00001])]
    )
    scaled = special.ive([v, v + 1], kappa.numpy()[:, None])
    usable = scaled[:, 1] > 1e-200
    expected = np.log(scaled[:, 0]) + v * np.log(2 / kappa.numpy()) + special.gammaln(v + 1)
    np.testing.assert_allclose(log_tilt(dim, kappa)[usable], expected[usable], rtol=1e-8, atol=1e-8)
    ratio = scaled[:, 1] / scaled[:, 0]
    np.testing.assert_allclose(mean_cosine(dim, kappa)[usable], ratio[usable], rtol=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dim", [2, 3, 6])
def test_derivatives(family: type, dim: int) -> None:
    raw = torch.randn(4, dim, dtype=torch.float64, requires_grad=True)
    kappa = torch.tensor([0.1, 2.0, 29.0, 200.0], dtype=torch.float64, requires_grad=True)
    x = normalize(torch.randn(4, dim, dtype=torch.float64), dim=-1)

    def draws(raw: Tensor, kappa: Tensor) -> Tensor:
        torch.manual_seed(3)
        return family(normalize(raw, dim=-1), kappa).rsample()

    assert gradcheck(lambda m, k: family(normalize(m, dim=-1), k).log_prob(x), (raw, kappa))
    assert gradcheck(lambda k: family(x, k).kl_from_uniform(), (kappa,))
    # Inversion is exact: the draw itself, at fixed noise, has the derivative of the quantile.
    assert gradcheck(draws, (raw, kappa), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_are_finite_at_the_ends_of_the_noise(
    family: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    kappa = torch.tensor([0.0, 2.0, 1e4], requires_grad=True)
    ends = torch.tensor([[0.0], [2**-24], [1 - 2**-24]]).expand(3, 3)
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *a, **k: ends.clone())
    for dim in (2, 5, 60):
        z = family(direction(dim, torch.float32).expand(3, dim), kappa).rsample((3,))
        (gradient,) = torch.autograd.grad(z.square().sum() + z.sum(), kappa)
        assert z.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_expand_and_shapes(family: type) -> None:
    q = family(direction(3).expand(2, 1, 3), torch.ones(4, dtype=torch.float64))
    assert (q.batch_shape, q.event_shape) == ((2, 4), (3,))
    wide = q.expand((5, 2, 4))
    assert wide.rsample((6,)).shape == (6, 5, 2, 4, 3)
    x = normalize(torch.randn(2, 4, 3, dtype=torch.float64), dim=-1)
    torch.testing.assert_close(wide.log_prob(x), q.log_prob(x).expand(5, 2, 4))
