"""Closed forms of KL(q || p) against Monte Carlo, and their derivatives."""

from __future__ import annotations

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution

from distributions.checks import assert_kl
from pyrovae.distributions import analytic_kl
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.student_t import StudentT


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


LOC, SCALE = random(4, 3), 0.3 + random(4, 3, seed=1).abs()
FACTOR = random(4, 3, 2, seed=2)
TRIL = torch.diag_embed(SCALE) + random(4, 3, 3, seed=3).tril(-1)

Q: dict[str, Distribution] = {
    "normal": dist.Normal(LOC, SCALE).to_event(1),
    "laplace": dist.Laplace(LOC, SCALE).to_event(1),
    "logistic": Logistic(LOC, SCALE).to_event(1),
    "student_t": StudentT(torch.full_like(LOC, 6.0), LOC, SCALE).to_event(1),
    "full_rank": dist.MultivariateNormal(LOC, scale_tril=TRIL),
    "low_rank": dist.LowRankMultivariateNormal(LOC, FACTOR, SCALE),
}
ZERO, ONE = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
P: dict[str, Distribution] = {
    "normal": dist.Normal(ZERO + 0.2, 1.5 * ONE).to_event(1),
    "laplace": dist.Laplace(ZERO - 0.3, 0.7 * ONE).to_event(1),
    "student_t": StudentT(5 * ONE, ZERO, ONE).to_event(1),
}
CLOSED = [
    (q, p)
    for q in Q
    for p in ("normal", "laplace")
    if (q, p) != ("student_t", "laplace")  # a hypergeometric function
]


@pytest.mark.parametrize(("q", "p"), CLOSED)
def test_closed_form_agrees_with_monte_carlo(q: str, p: str) -> None:
    closed = analytic_kl(Q[q], P[p])
    assert closed is not None
    assert closed.shape == (4,)
    assert_kl(Q[q], P[p], closed)


@pytest.mark.parametrize(("q", "p"), [(q, "student_t") for q in Q] + [("student_t", "laplace")])
def test_pairs_without_closed_form_say_so(q: str, p: str) -> None:
    assert analytic_kl(Q[q], P[p]) is None


def test_infinite_where_the_variance_is() -> None:
    q = StudentT(2 * ONE, ZERO, ONE).to_event(1)
    assert analytic_kl(q, P["normal"]).item() == float("inf")


def test_dependence_costs_what_the_joint_entropy_lacks() -> None:
    # KL(q || p) of a dependent normal is that of its marginals plus their total correlation.
    q = dist.MultivariateNormal(ZERO[:2], torch.tensor([[1, 0.8], [0.8, 1]], dtype=torch.float64))
    p = dist.Normal(ZERO[:2], ONE[:2]).to_event(1)
    expected = -0.5 * torch.log1p(torch.tensor(-(0.8**2), dtype=torch.float64))
    torch.testing.assert_close(analytic_kl(q, p), expected)


def test_derivatives() -> None:
    loc, scale = LOC[0].clone().requires_grad_(), SCALE[0].clone().requires_grad_()
    df = (4 * ONE).requires_grad_()
    factor = FACTOR[0].clone().requires_grad_()
    for p in (P["normal"].base_dist, P["laplace"].base_dist):
        assert gradcheck(lambda m, s, p=p: analytic_kl(Logistic(m, s), p), (loc, scale))
    assert gradcheck(
        lambda v, m, s: analytic_kl(StudentT(v, m, s), P["normal"].base_dist), (df, loc, scale)
    )
    assert gradcheck(
        lambda m, f, s: analytic_kl(dist.LowRankMultivariateNormal(m, f, s), P["laplace"]),
        (loc, factor, scale),
    )
