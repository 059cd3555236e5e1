"""KL divergences of laws of one number against other people's quadrature and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution, kl_divergence

from pyrovae.distributions.generalized_normal import GeneralizedNormal
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.normal_mixture import NormalMixture
from pyrovae.distributions.quadrature import _kronrod, kl_by_quadrature
from pyrovae.distributions.student_t import StudentT

#: Scales of q and p, and the distance between them.
SETTINGS = torch.tensor(
    list(itertools.product([0.01, 0.3, 10.0], [0.01, 0.05, 1.0, 10.0], [0.0, 0.02, 0.7, 6.0])),
    dtype=torch.float64,
)
ONE = torch.ones(len(SETTINGS), dtype=torch.float64)


def _mixture(weights: list[float], loc: list[Tensor], scale: list[Tensor]) -> Distribution:
    logits = torch.tensor(weights, dtype=torch.float64).log()
    return NormalMixture(logits, torch.stack(loc, -1), torch.stack(scale, -1))


def _laws(loc: Tensor, s: Tensor) -> dict[str, Distribution]:
    laplaces = dist.Laplace(torch.stack([loc - s, loc + s], -1), torch.stack([0.1 * s, s], -1))
    return {
        "normal": dist.Normal(loc, s),
        "laplace": dist.Laplace(loc, s),
        "logistic": Logistic(loc, s),
        "student_t": StudentT(5 * ONE, loc, s),
        "generalized_normal": GeneralizedNormal(loc, s, 1.5 * ONE),
        "flat": GeneralizedNormal(loc, s, 8 * ONE),
        "spike_slab": _mixture([0.7, 0.3], [loc, loc], [0.05 * s, s]),
        "gaps": _mixture([0.3, 0.5, 0.2], [loc - 3 * s, loc, loc + 4 * s], [0.2 * s, s, 0.02 * s]),
        "laplaces": dist.MixtureSameFamily(
            dist.Categorical(torch.ones_like(laplaces.loc)), laplaces
        ),
        "gumbel": dist.Gumbel(loc, s),
    }


Q = _laws(SETTINGS[:, 2], SETTINGS[:, 0])
P = _laws(0 * ONE, SETTINGS[:, 1])
#: Knots of the brute grid around every place that has structure, in scales.
_PLACES = (-3.0, -1.0, 0.0, 1.0, 4.0)


def _brute(q: Distribution, p: Distribution) -> Tensor:
    """Return KL(q || p) by a trapezoidal rule whose steps are fine around every component."""
    around = 0.004 * torch.linspace(-14.5, 14.5, 1601, dtype=torch.float64).sinh()
    places = [
        loc + c * s
        for loc, s in ((SETTINGS[:, 2], SETTINGS[:, 0]), (0 * ONE, SETTINGS[:, 1]))
        for c in _PLACES
    ]
    scales = [s for s in (SETTINGS[:, 0], SETTINGS[:, 1]) for _ in _PLACES]
    grids = [place + s * around[:, None] for place, s in zip(places, scales, strict=True)]
    z = torch.cat(grids).sort(0).values
    log_q = q.log_prob(z)
    density = log_q.exp()
    f = torch.where(density > 0, density * (log_q - p.log_prob(z)), 0.0)
    return torch.trapezoid(f, z, dim=0)


# Infinite divergences: each rule makes another large number of those.
INFINITE = {("student_t", "flat"), *((q, "gumbel") for q in Q)}


@pytest.mark.parametrize(("q", "p"), [(q, p) for q in Q for p in P if (q, p) not in INFINITE])
def test_every_pair_of_families_at_every_scale(q: str, p: str) -> None:
    found = kl_by_quadrature(Q[q], P[p])
    assert found is not None
    assert found.known.all()
    torch.testing.assert_close(found.value, _brute(Q[q], P[p]), rtol=1e-4, atol=1e-4)
    try:
        closed = kl_divergence(Q[q], P[p])
    except NotImplementedError:
        return
    torch.testing.assert_close(found.value, closed, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [0.05, 0.01])
@pytest.mark.parametrize("place", [0.0, 0.3, 5.0])
def test_a_spike_between_nodes_against_quadpack(width: float, place: float) -> None:
    q = dist.Normal(torch.tensor([place]), 1.0)
    p = NormalMixture(torch.tensor([0.7, 0.3]).log(), torch.zeros(2), torch.tensor([width, 1.0]))

    def integrand(z: float) -> float:
        log_q = -0.5 * (z - place) ** 2 - 0.5 * math.log(2 * math.pi)
        parts = [
            math.log(w) - math.log(s * math.sqrt(2 * math.pi)) - 0.5 * (z / s) ** 2
            for w, s in ((0.7, width), (0.3, 1.0))
        ]
        return math.exp(log_q) * (log_q - np.logaddexp(*parts))

    points = [c * width for c in (-6, -3, 0, 3, 6)]
    exact, _ = quad(integrand, place - 9, place + 9, points=points, limit=500, epsabs=1e-12)
    found = kl_by_quadrature(q, p)
    assert found is not None
    assert float(found.value) == pytest.approx(exact, abs=2e-6)


def test_kronrods_rule_is_exact_for_polynomials() -> None:
    rule = _kronrod()
    for degree in range(0, 23, 2):
        powers = rule.nodes**degree
        assert float(powers @ rule.fine) == pytest.approx(2 / (degree + 1), abs=1e-14)
        if degree < 14:
            assert float(powers @ rule.coarse) == pytest.approx(2 / (degree + 1), abs=1e-14)


def test_batches_broadcast_and_keep_their_precision() -> None:
    q = dist.Normal(torch.zeros(4, 3), 0.5)
    p = StudentT(torch.full((3,), 5.0), torch.tensor([0.0, 1.0, 2.0]), torch.ones(3))
    found = kl_by_quadrature(q, p)
    assert found is not None
    assert (found.value.shape, found.value.dtype) == ((4, 3), torch.float32)
    assert (found.value == found.value[0]).all()


def test_infinite_and_undefined_divergences_are_said_to_be() -> None:
    q = dist.Normal(torch.tensor([0.0, math.nan]), 1.0, validate_args=False)
    found = kl_by_quadrature(q, dist.Uniform(-1.0, 1.0))
    assert found is not None
    assert found.value[0] == math.inf
    assert found.value[1].isnan()


def test_a_power_tail_that_is_not_reached_is_not_known() -> None:
    # E z² of so long a tail converges as slowly as exp(-0.01 y), far beyond where it is cut.
    q = StudentT(torch.tensor([2.001]), torch.tensor([0.0]), torch.tensor([1.0]))
    p = NormalMixture(torch.zeros(2), torch.zeros(2), torch.tensor([0.5, 1.0]))
    found = kl_by_quadrature(q, p)
    assert found is not None
    assert not found.known


class Shifted(dist.Normal):
    """A normal law with more to it than its parameters."""

    shift = 0.0

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value - self.shift)


def test_laws_that_are_more_than_their_parameters_are_refused() -> None:
    q, p = Shifted(torch.zeros(2), 1.0), StudentT(torch.tensor(5.0), 0.0, 1.0)
    assert kl_by_quadrature(q, p) is not None
    q.shift = 1.0
    assert kl_by_quadrature(q, p) is None
    draws_only = dist.Empirical(torch.zeros(2), torch.zeros(2))
    assert kl_by_quadrature(draws_only, p) is None


def test_derivatives() -> None:
    p = _mixture([0.7, 0.3], [ONE[:2] * 0, ONE[:2] * 0], [ONE[:2] * 0.05, ONE[:2]])
    loc = torch.tensor([0.4, -1.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.3, 1.2], dtype=torch.float64, requires_grad=True)

    def kl(loc: Tensor, scale: Tensor) -> Tensor:
        found = kl_by_quadrature(StudentT(torch.full_like(loc, 5.0), loc, scale), p)
        assert found is not None
        return found.value

    assert gradcheck(kl, (loc, scale), eps=1e-4, atol=1e-3)
