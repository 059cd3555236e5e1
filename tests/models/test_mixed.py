"""Codes of real units and labels: laws, bounds, capacities, measures."""

from __future__ import annotations

import math

import pytest
import torch
from distributions.checks import assert_kl
from torch import Tensor

import pyrovae
from pyrovae.core.errors import PyrovaeError
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl, marginals
from pyrovae.measures.collapse import (
    estimate_bound,
    measure_information,
    measure_units,
    measure_usage,
)
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import JointCapacity
from pyrovae.training import LossProgram

MIXED = {"name": "mixed", "classes": 3}


def small() -> VAE:
    """Return a VAE of one real unit and one label, off its start."""
    vae = build_vae(
        (5,),
        2,
        network={"name": "mlp", "hidden": [6]},
        prior=MIXED,
        posterior=MIXED,
        likelihood={"name": "bernoulli"},
        seed=1,
    )
    with seeded(2), torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return vae


def data(n: int = 3) -> Tensor:
    with seeded(3):
        return (torch.rand(n, 5) > 0.5).float()


def test_laws_are_those_of_their_parts() -> None:
    vae, x = small(), data()
    with torch.no_grad():
        q, p = vae.encode(x), vae.prior_law().expand((3,))
        z = q.sample((7,))
        units = marginals(q).log_prob(z)
        torch.testing.assert_close(units.sum(-1), q.log_prob(z))
        closed = analytic_kl(q, p)
        assert closed is not None
        assert_kl(q, p, closed)
        each = analytic_kl(marginals(q), marginals(p))
        assert each is not None
        torch.testing.assert_close(each.sum(-1), closed)


def test_the_bound_is_that_of_the_sum_over_labels_and_a_grid() -> None:
    vae, x = small(), data()
    grid = torch.linspace(-9, 9, 1801)
    total, evidence = torch.zeros(3), []
    with torch.no_grad():
        q, p = vae.encode(x), vae.prior_law()
        for label in range(3):
            z = torch.stack([grid, torch.full_like(grid, label)], -1).unsqueeze(1).expand(-1, 3, -1)
            log_q, log_p, log_x = q.log_prob(z), p.log_prob(z), vae.decode(z).log_prob(x)
            total += torch.trapezoid(log_q.exp() * (log_x + log_p - log_q), grid, dim=0)
            evidence.append(torch.trapezoid((log_p + log_x).exp(), grid, dim=0))
    with OwnParams():
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=300, seed=0)
    torch.testing.assert_close(bound.elbo, total, rtol=0, atol=0.25)
    assert (total < torch.stack(evidence).sum(0).log()).all()


def test_each_part_has_a_capacity_of_its_own() -> None:
    vae, x = small(), data()
    objective = JointCapacity(capacity=2.0, labels=5.0, gamma=7.0)
    program = LossProgram(vae, objective)
    hyper = program.hyper(0)
    assert float(hyper["labels"]) == pytest.approx(math.log(3))  # no label can say more
    with OwnParams(), seeded(0):
        loss, found = objective(vae, x, hyper, 3)
    rates = analytic_kl(marginals(vae.encode(x)), marginals(vae.prior_law()))
    assert rates is not None
    real, labels = rates.mean(0)
    miss = (real - 2).abs() + (labels - math.log(3)).abs()
    torch.testing.assert_close(loss, found.distortion.mean() + 7 * miss)


def test_rates_follow_their_capacities() -> None:
    """Of data of four patterns; a rate of log 4 need not say anything, and the measures tell."""
    with seeded(0):
        x = torch.eye(4)[torch.randint(4, (400,))].repeat_interleave(3, 1) * torch.rand(400, 1)
    part = {"name": "mixed", "classes": 4}
    vae = pyrovae.build((12,), latent_dim=2, prior=part, posterior=part)
    ramp = {"schedule": "linear", "from": 0, "to": 1.0, "steps": 150}
    objective = {"name": "joint_capacity", "capacity": 2.0, "labels": ramp, "gamma": 50.0}
    vae = pyrovae.fit(vae, x, steps=250, objective=objective, lr=3e-3, batch_size=64)
    units = measure_units(vae, x)
    torch.testing.assert_close(units.kl, torch.tensor([2.0, 1.0]), rtol=0, atol=0.15)
    usage, information = measure_usage(vae, x), measure_information(vae, x)
    assert usage is not None
    # KL(q(c|x) || p(c)) on average is the information, and what the aggregate is off the prior.
    off = math.log(4) - usage.perplexity[1].log()
    torch.testing.assert_close(information.unit[1] + off, units.kl[1], rtol=0, atol=1e-3)


def test_measures_tell_both_kinds_of_units() -> None:
    vae, x = small(), data(200)
    usage, information = measure_usage(vae, x), measure_information(vae, x)
    assert usage is not None
    assert usage.perplexity.isnan().tolist() == [True, False]
    with torch.no_grad():
        shares = vae.encode(x).laws[1].base_dist.probs[:, 0]
    mean = shares.mean(0)
    exact = (shares * (shares / mean).log()).sum(-1).mean()
    torch.testing.assert_close(information.unit[1], exact)
    assert information.mi_upper <= information.rate + 1e-5
    assert measure_units(vae, x).exact_kl


def test_wrapped_models_have_no_labels() -> None:
    for name in ("bernoulli", "mixed"):
        with pytest.raises(PyrovaeError, match="codes of labels"):
            pyrovae.wrap(
                torch.nn.Linear(5, 4),
                torch.nn.Linear(2, 5),
                prior=name,
                latent_dim=2,
                likelihood="bernoulli",
                event_shape=(5,),
            )


def test_what_does_not_fit_is_said() -> None:
    for parts, told in (
        ({"prior": MIXED | {"labels": 2}, "posterior": MIXED | {"labels": 2}}, "leave none of 2"),
        ({"prior": MIXED, "posterior": "mixed"}, "3 labels, and the posterior of 0 and 10"),
        ({"prior": MIXED | {"real": "vampprior"}, "posterior": MIXED}, "'vampprior'"),
        ({"prior": MIXED | {"real": "student_t"}, "posterior": MIXED}, "no closed form"),
        ({"prior": MIXED, "posterior": MIXED | {"gradient": "score"}}, "gradient"),
    ):
        with pytest.raises(PyrovaeError, match=told):
            pyrovae.build((5,), latent_dim=2, **parts)
    with pytest.raises(PyrovaeError, match="joint_capacity"):
        pyrovae.fit(
            pyrovae.build((5,), latent_dim=2), data(20), steps=1, objective="joint_capacity"
        )
