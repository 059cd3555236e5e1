"""Every declared closed form of KL(q || p) against Monte Carlo; its derivatives."""

from __future__ import annotations

import pytest
import torch
from distributions.checks import assert_kl
from pyro import poutine
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import functional_call

from pyrovae.api.checks.laws import Case
from pyrovae.distributions import analytic_kl
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.study.plan.compatibility import has_closed_kl, latent_conflict

CLOSED = [
    (prior, posterior)
    for prior in PRIORS
    for posterior in POSTERIORS
    if latent_conflict(prior, posterior) is None and has_closed_kl(prior, posterior)
]


@pytest.mark.parametrize(("prior", "posterior"), CLOSED)
def test_closed_forms_agree_with_monte_carlo(prior: str, posterior: str) -> None:
    """Within 4 standard errors for each of two data: one seed in 200 would fail somewhere here."""
    case = Case("posterior", posterior)
    module, other = case.law(case.dims[1]), Case("prior", prior).law(case.dims[1])
    with torch.no_grad():
        q, p = module(), other().expand((2,))
        closed = analytic_kl(q, p)
        assert closed is not None
        assert (closed > 0.01).all()  # far enough apart to tell
        assert_kl(q, p, closed, draws=40_000)

    names = [*module.tensors(), *(f"p.{name}" for name in other.tensors())]
    values = [*module.tensors().values(), *other.tensors().values()]

    def divergence(*values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        torch.manual_seed(7)
        q = functional_call(module, {n: given[n] for n in module.tensors()}, ())
        p = functional_call(other, {n: given[f"p.{n}"] for n in other.tensors()}, ())
        found = analytic_kl(q, p.expand((2,)))
        assert found is not None
        return found

    inputs = tuple(v.clone().requires_grad_() for v in values)
    assert gradcheck(divergence, inputs, fast_mode=True)


def test_some_forms_are_closed() -> None:
    assert len(CLOSED) > 30
    assert ("hyperspherical_uniform", "power_spherical") in CLOSED


@pytest.mark.parametrize("name", [n for n in PRIORS if PRIORS[n].global_sites])
def test_closed_forms_of_global_sites(name: str) -> None:
    prior = PRIORS.create(name, 2).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        guide = poutine.trace(prior.guide).get_trace()
        program = poutine.trace(poutine.replay(prior, trace=guide)).get_trace()
        for site in prior.global_sites:
            q, p = guide.nodes[site]["fn"], program.nodes[site]["fn"]
            closed = analytic_kl(q, p)
            assert (closed is None) == (name == "horseshoe")  # a half-Cauchy law has none
            if closed is not None:
                assert_kl(q, p, closed)
