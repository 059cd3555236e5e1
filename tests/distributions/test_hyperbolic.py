"""Hyperbolic geometry against geodesics that SciPy integrates, and laws in the other models."""

from __future__ import annotations

import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scipy.special import gamma
from scipy.stats import beta as beta_law
from scipy.stats import kstest
from torch import Tensor
from torch.autograd.functional import jacobian

from pyrovae.distributions.hyperbolic import (
    Around,
    RiemannianNormal,
    hyperboloid,
    log_sinhc,
    to_ball,
)
from pyrovae.distributions.log_ratio import LogRatioDirichlet, contrasts
from pyrovae.models.posteriors import POSTERIORS


def geodesic(mu: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, float]:
    """Return where a geodesic of the Poincaré ball leads, and its length, by its equation.

    A tangent v at the origin, of hyperbolic length |v|, is carried to mu along the ray; the metric
    is conformal, g = l(x)² I with l = 2 / (1 - |x|²), whose Christoffel symbols give
    x'' = -2 (w.x') x' + |x'|² w with w = grad log l.
    """

    def field(_: float, state: np.ndarray) -> np.ndarray:
        x, speed, carried, _ = np.split(state, [2, 4, 6])
        w = 2 * x / (1 - x @ x)
        bent = -2 * (w @ speed) * speed + (speed @ speed) * w
        # Parallel transport: c' = -(w.c) x' - (w.x') c + (c.x') w.
        turned = -(w @ carried) * speed - (w @ speed) * carried + (carried @ speed) * w
        return np.concatenate([speed, bent, turned, [2 / (1 - x @ x) * np.linalg.norm(speed)]])

    def follow(x: np.ndarray, speed: np.ndarray, carried: np.ndarray) -> np.ndarray:
        start = np.concatenate([x, speed, carried, [0.0]])
        return solve_ivp(field, (0, 1), start, rtol=1e-10, atol=1e-12).y[:, -1]

    # At the origin the metric is 4 I: a tangent of length |v| has half its numbers.
    at_mu = follow(np.zeros(2), mu / 2, v / 2)
    end = follow(at_mu[:2], at_mu[4:6], at_mu[4:6])
    return end[:2], float(end[6])


def test_the_map_follows_geodesics() -> None:
    generator = np.random.default_rng(0)
    for _ in range(3):
        mu, v = generator.normal(size=(2, 2))
        found = Around(torch.tensor(mu))(torch.tensor(v))
        end, distance = geodesic(mu, v)
        np.testing.assert_allclose(to_ball(found), end, atol=1e-7)
        assert distance == pytest.approx(float(np.linalg.norm(v)), rel=1e-7)


def test_inverse_and_jacobian() -> None:
    torch.manual_seed(0)
    for d in (1, 2, 5):
        mu, v = 1.5 * torch.randn(2, 6, d, dtype=torch.float64)
        around = Around(mu)
        u = around(v)
        torch.testing.assert_close(around.inv(u), v, atol=1e-9, rtol=1e-9)
        log_det = around.log_abs_det_jacobian(v, u)
        for i in range(6):
            exact = torch.linalg.slogdet(jacobian(Around(mu[i]), v[i])).logabsdet
            torch.testing.assert_close(log_det[i], exact, atol=1e-9, rtol=1e-9)
    # Single precision, ten units out, where a place on the ball would have no digits left.
    mu = torch.tensor([[10.0, 2.0]])
    v = torch.tensor([[0.5, -0.3]])
    torch.testing.assert_close(Around(mu).inv(Around(mu)(v)), v, atol=5e-3, rtol=0)
    assert torch.isfinite(torch.func.jacrev(Around(torch.zeros(2)))(torch.zeros(2))).all()


def test_the_wrapped_normal_has_the_density_on_the_ball_of_mathieu_et_al() -> None:
    """Their eq. 10, by moebius sums: by the ball's volume, which is l^d dx."""
    family = POSTERIORS.create("wrapped_normal", 3, 2).double()
    with torch.no_grad():
        for parameter in family.parameters():
            parameter.copy_(torch.randn_like(parameter))
    q = family(torch.randn(1, 3, dtype=torch.float64))
    u = q.sample((50,)).squeeze(1)
    mu, sigma = to_ball(q.transform.transforms[0].mu)[0], q.base.base_dist.scale[0]
    x = to_ball(u)

    def added(a: Tensor, b: Tensor) -> Tensor:
        ab, aa, bb = (a * b).sum(-1, True), (a * a).sum(-1, True), (b * b).sum(-1, True)
        return ((1 + 2 * ab + bb) * a + (1 - aa) * b) / (1 + 2 * ab + aa * bb)

    off = added(-mu.expand_as(x), x)
    norm = off.norm(dim=-1, keepdim=True)
    r = 2 * torch.atanh(norm)
    log_map = torch.atanh(norm) * off / norm  # times 2 / l_mu; l_mu of it is v
    v = 2 * log_map
    log_p = dist.Normal(0.0, sigma).to_event(1).log_prob(v) + torch.log(r / r.sinh()).squeeze(-1)
    # By du: the volume of the ball is (sinh s / s)^(d - 1) du.
    s = u.norm(dim=-1)
    torch.testing.assert_close(q.log_prob(u), log_p + torch.log(s.sinh() / s), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize(("d", "sigma"), [(1, 1.0), (2, 0.7), (3, 1.2), (6, 0.5), (40, 1.0)])
def test_the_riemannian_normal_is_divided_by_its_integral(d: int, sigma: float) -> None:
    law = RiemannianNormal(torch.tensor(sigma, dtype=torch.float64), d)
    found = -float(law.log_prob(torch.zeros(d, dtype=torch.float64)))
    peak = (d - 1) * sigma**2

    def radial(r: float) -> float:  # over its greatest value
        return math.exp(
            -(r**2) / 2 / sigma**2 + (d - 1) * (log_sinh(r) - log_sinh(top)) + top_energy
        )

    def log_sinh(r: float) -> float:
        return r + math.log1p(-math.exp(-2 * r)) - math.log(2)

    top = max(peak, 0.5)
    top_energy = top**2 / 2 / sigma**2
    total = quad(radial, 1e-12, peak + 12 * sigma * d**0.5, limit=500, points=[top])[0]
    area = 2 * math.pi ** (d / 2) / gamma(d / 2)
    exact = math.log(total * area) - top_energy + (d - 1) * log_sinh(top)
    assert found == pytest.approx(exact, rel=1e-5)
    if d == 2:  # Said et al. 2014: 2 pi sqrt(pi / 2) sigma e^(sigma² / 2) erf(sigma / sqrt 2)
        closed = 2 * math.pi * math.sqrt(math.pi / 2) * sigma
        closed *= math.exp(sigma**2 / 2) * math.erf(sigma / 2**0.5)
        assert found == pytest.approx(math.log(closed), rel=1e-5)


def test_log_sinhc_at_all_lengths() -> None:
    r = torch.tensor([0.0, 1e-5, 9e-4, 1.1e-3, 0.5, 3.0, 80.0, 500.0], dtype=torch.float64)
    exact = [0.0, *(math.log(math.sinh(x) / x) for x in r.tolist()[1:-1])]
    exact.append(500 - math.log(2) - math.log(500))
    np.testing.assert_allclose(log_sinhc(r), exact, atol=1e-9)
    time, space = hyperboloid(torch.randn(7, 3, dtype=torch.float64))
    norm = time.squeeze(-1).square() - space.square().sum(-1)
    torch.testing.assert_close(norm, torch.ones(7, dtype=torch.float64))


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_parts_of_the_dirichlet_law_are_beta(alpha: float) -> None:
    basis = contrasts(4)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3))
    torch.testing.assert_close(basis.sum(0), torch.zeros(3))
    law = LogRatioDirichlet(torch.full((4,), alpha), basis)
    torch.manual_seed(0)
    z = law.sample((20_000,))
    parts = torch.softmax(z @ basis.T, -1)
    for k in range(4):
        assert kstest(parts[:, k].double().numpy(), beta_law(alpha, 3 * alpha).cdf).pvalue > 1e-4
    # The density of the parts, times the volume of the map from the coordinates to three of them.
    one = z[0].double()
    basis = basis.double()
    volume = torch.linalg.slogdet(jacobian(lambda c: torch.softmax(c @ basis.T, -1)[:3], one))
    expected = dist.Dirichlet(torch.full((4,), alpha).double()).log_prob(
        torch.softmax(one @ basis.T, -1)
    )
    found = LogRatioDirichlet(torch.full((4,), alpha).double(), basis).log_prob(one)
    torch.testing.assert_close(found, expected + volume.logabsdet)
