"""Layered models as Pyro programs, and as one joint law of a code."""

from __future__ import annotations

from typing import Any

import pyro
import pytest
import torch
from layers import DIM, SIZE, Linear, linear
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam

import pyrovae
from pyrovae.core.errors import ConfigError, IncompatibleError
from pyrovae.measures.collapse import estimate_bound
from pyrovae.models.layered import LayeredVAE
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.sites import terms, trace_pair
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram

GUIDES = ("bottom_up", "ladder")


@pytest.fixture(params=GUIDES)
def exact(request: pytest.FixtureRequest) -> Linear:
    return linear(request.param)


def deep(**layers: Any) -> LayeredVAE:
    made = {"sizes": [3, 2, 2], "hidden": [4]} | layers
    parts = {key: made.pop(key) for key in ("prior", "posterior") if key in made}
    vae = pyrovae.build(
        4, layers=made, network={"name": "mlp", "hidden": [5]}, data=torch.rand(9, 4), **parts
    )
    assert isinstance(vae, LayeredVAE)
    return vae


@pytest.mark.parametrize("guide", GUIDES)
def test_the_joint_law_is_that_of_the_sites(guide: str) -> None:
    vae, x = deep(guide=guide, skip=True), torch.rand(6, 4)
    trace = poutine.trace(vae.guide).get_trace(x)
    names = [name for name in trace.nodes if name in vae.blocks.names]
    assert names == (["z1", "z2", "z3"] if guide == "bottom_up" else ["z3", "z2", "z1"])
    z = torch.cat([trace.nodes[name]["value"] for name in vae.blocks.names], -1)
    trace.compute_log_prob()
    drawn = sum(trace.nodes[name]["log_prob"] for name in names)
    torch.testing.assert_close(vae.encode(x).log_prob(z), drawn)
    held = poutine.trace(poutine.condition(vae.model, data=vae.latents(z))).get_trace(x)
    held.compute_log_prob()
    expected = sum(held.nodes[name]["log_prob"] for name in names)
    torch.testing.assert_close(vae.prior_law().log_prob(z), expected)
    torch.testing.assert_close(vae.decode(z).log_prob(x), held.nodes["x"]["log_prob"])
    # Of every datum under every other's law, as a mixture of posteriors needs it.
    pairs = vae.encode(x).log_prob(z.unsqueeze(1))
    torch.testing.assert_close(pairs.diagonal(), drawn)


def test_the_joint_density_is_a_density(exact: Linear) -> None:
    x = exact.data(50)
    q, p = exact.vae.encode(x), exact.posterior(x)
    z = q.sample((4,))
    torch.testing.assert_close(q.log_prob(z), p.log_prob(z), atol=1e-4, rtol=0)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_loss_is_pyros(guide: str) -> None:
    vae, x = deep(guide=guide), torch.rand(50, 4)
    program = LossProgram(vae, OBJECTIVES.create("elbo"))

    def ours(seed: int) -> float:
        torch.manual_seed(seed)
        return float(program(x, {})[0].detach())

    def theirs(bound: Any, seed: int) -> float:
        pyro.clear_param_store()
        torch.manual_seed(seed)
        return float(bound.loss(vae.model, vae.guide, x)) / len(x)

    if guide == "ladder":  # every closed form is given what was drawn before it
        for seed in range(3):
            assert ours(seed) == pytest.approx(theirs(TraceMeanField_ELBO(), seed), rel=1e-5)
    else:  # of the top layer alone there is one: in the mean it is the same
        apart = torch.tensor([ours(i) - theirs(Trace_ELBO(), i) for i in range(20)])
        assert apart.mean().abs() < 4 * apart.std() / 20**0.5


def test_the_closed_form_is_not_taken_where_it_would_be_wrong() -> None:
    exact = linear("bottom_up")
    x = exact.data(400)
    bound = estimate_bound(exact.vae.datum_model, exact.vae.datum_guide, x, samples=60)
    expected = exact.unit_rates(x).sum(1)
    # Pyro's mean-field bound takes KL(q(z1|x) || p(z1|z2)) at a z2 that was drawn from z1.
    assert float((bound.rate - expected).mean()) == pytest.approx(0, abs=0.04)
    pyro.clear_param_store()
    wrong = TraceMeanField_ELBO(num_particles=40, vectorize_particles=True)
    with pytest.warns(UserWarning, match="mean field"):
        biased = -wrong.loss(exact.vae.model, exact.vae.guide, x) / len(x)
    assert abs(biased - float(bound.elbo.mean())) > 0.2


def test_bounds_and_rates_by_layer_are_the_exact_ones(exact: Linear) -> None:
    x = exact.data(300)
    bound = estimate_bound(exact.vae.datum_model, exact.vae.datum_guide, x, samples=50)
    torch.testing.assert_close(bound.log_px, exact.log_px(x), atol=2e-3, rtol=0)
    torch.testing.assert_close(sum(bound.rates.values()), bound.rate)
    rates = exact.unit_rates(x)
    first, second = rates[:, :SIZE].sum(1).mean(), rates[:, SIZE:].sum(1).mean()
    if exact.vae.layers.guide == "ladder":
        assert float(bound.rates["z1"].mean()) == pytest.approx(float(first), abs=0.02)
        assert float(bound.rates["z2"].mean()) == pytest.approx(float(second), abs=0.02)
    else:
        # KL(q(z2|z1) || p(z2)): what z1 tells of z2, more than x does.
        var = 1 / (1 + exact.links**2 / exact.spread**2)
        mean1 = exact.posterior(x).mean[:, :SIZE]
        var1 = exact.posterior(x).covariance_matrix.diagonal(dim1=-2, dim2=-1)[:, :SIZE]
        square = (var * exact.links / exact.spread**2) ** 2 * (mean1**2 + var1)
        top = 0.5 * (var + square - 1 - var.log()).sum(1).mean()
        assert float(bound.rates["z2"].mean()) == pytest.approx(float(top), abs=0.02)
        assert float(bound.rate.mean()) == pytest.approx(float(first + second), abs=0.03)


def test_pyros_inference_takes_the_programs(exact: Linear) -> None:
    vae, x = exact.vae, exact.data(2)
    drawn = Predictive(vae.model, num_samples=7)(None, 3)
    assert drawn["x"].shape[-2:] == (3, DIM)
    assert {"z1", "z2"} <= drawn.keys()
    pyro.clear_param_store()
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-3}), Trace_ELBO())
    before = next(vae.encoder.parameters(), vae.posteriors[0].loc.weight).clone()
    svi.step(x)
    assert not torch.equal(before, next(vae.encoder.parameters(), vae.posteriors[0].loc.weight))
    frozen = linear(vae.layers.guide).vae.requires_grad_(False)
    pyro.clear_param_store()
    auto = AutoNormal(frozen.datum_model)
    assert SVI(frozen.datum_model, auto, Adam({"lr": 0.01}), Trace_ELBO()).step(x) > 0
    mcmc = MCMC(NUTS(frozen.datum_model), num_samples=5, warmup_steps=5, disable_progbar=True)
    mcmc.run(x)
    assert mcmc.get_samples()["z2"].shape == (5, 2, SIZE)


def test_gradients_reach_every_parameter() -> None:
    for guide in GUIDES:
        vae = deep(guide=guide)
        loss, _ = LossProgram(vae, OBJECTIVES.create("elbo"))(torch.rand(6, 4), {})
        loss.backward()
        assert all(p.grad is not None for p in vae.parameters())


def test_one_layer_is_the_flat_model() -> None:
    flat = pyrovae.build(4, latent_dim=3, network={"name": "mlp", "hidden": [5]})
    one = pyrovae.build(4, layers=[3], network={"name": "mlp", "hidden": [5]})
    x = torch.rand(6, 4)
    one.load_state_dict(
        {key.replace("posterior.", "posteriors.0."): v for key, v in flat.state_dict().items()}
    )
    torch.manual_seed(0)
    a, _ = LossProgram(flat, OBJECTIVES.create("elbo"))(x, {})
    torch.manual_seed(0)
    b, _ = LossProgram(one, OBJECTIVES.create("elbo"))(x, {})
    assert torch.equal(a, b)


@pytest.mark.parametrize("name", list(PRIORS))
def test_every_prior_is_taken_or_refused_by_name(name: str) -> None:
    prior = {"name": name, "pseudo_inputs": 5} if name == "vampprior" else name
    joint = name in ("flow", "dirichlet", "riemannian_normal")  # marginals that nobody knows
    if joint or PRIORS[name].space not in ("real", None):
        with pytest.raises((ConfigError, IncompatibleError), match=name):
            deep(guide="ladder", prior=prior)
        return
    vae = deep(guide="ladder", prior=prior)
    x = torch.rand(3, 4)
    found = terms(*trace_pair(vae.model, vae.guide, x))
    assert found.rate.shape == (3,)
    assert vae.prior_law().log_prob(vae.draw_prior(5)).shape == (5,)


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_every_posterior_is_taken_or_refused_by_name(name: str) -> None:
    family = POSTERIORS[name]
    fits = "factorized" in family.properties and family.space == "real"
    if not fits or family.needs_model:
        with pytest.raises((ConfigError, IncompatibleError), match=f"'{name}'"):
            deep(guide="ladder", posterior=name)
        return
    vae = deep(guide="ladder", posterior=name)
    assert vae.encode(torch.rand(3, 4)).sample().shape == (3, 7)


def test_each_layer_may_have_families_of_its_own() -> None:
    vae = deep(
        priors=["laplace", {"name": "student_t", "df": 4}],
        posteriors=["laplace", "mean_field_normal", "student_t"],
    )
    z = vae.draw_prior(3)
    names = [type(law.base_dist).__name__ for law in vae.prior_law().laws(z)]
    assert names == ["Laplace", "StudentT", "Normal"]


def test_what_does_not_fit_is_said() -> None:
    for options, told in (
        ({"layers": []}, "layers"),
        ({"layers": [3, 0]}, "layers"),
        ({"layers": [3, 2], "latent_dim": 4}, "5 here"),
        ({"layers": {"sizes": [3, 2], "priors": ["ard"]}}, "'ard' has no location"),
        ({"layers": {"sizes": [3, 2], "priors": ["laplace", "laplace"]}}, "priors has 2"),
        ({"layers": [3, 2], "condition": 2}, "condition"),
        ({"layers": [3, 2], "prior": "vampprior"}, "layers.guide: ladder"),
        ({}, "latent_dim"),
    ):
        with pytest.raises((ConfigError, IncompatibleError), match=told):
            pyrovae.build(4, **options)
    program = LossProgram(deep(), OBJECTIVES.create("factor"))
    with pytest.raises(ConfigError, match="one flat code"):
        program(torch.rand(6, 4), {"gamma": torch.tensor(1)})
