"""Priors that need more than p(z): global sites, the encoder, a second stage."""

from __future__ import annotations

import copy

import pyro
import pytest
import torch
from families import small_images, small_vae
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, TraceMeanField_ELBO
from pyro.optim import Adam
from torch import Tensor

from pyrovae.datasets.base import as_float
from pyrovae.models.sites import terms, trace_pair
from pyrovae.models.vae import build_vae
from pyrovae.objectives import OBJECTIVES, Elbo
from pyrovae.training import LossProgram, Trainer, TrainingSettings

HIERARCHICAL = ("ard", "horseshoe")


@pytest.fixture
def x() -> Tensor:
    return as_float(small_images())


@pytest.mark.parametrize("prior", HIERARCHICAL)
def test_global_sites_stand_outside_the_plate(x: Tensor, prior: str) -> None:
    vae = small_vae(prior)
    model, guide = trace_pair(vae.model, vae.guide, x)
    for name in vae.prior.global_sites:
        for trace in (model, guide):
            assert trace.nodes[name]["cond_indep_stack"] == ()
            assert not trace.nodes[name]["is_observed"]
    model.compute_log_prob()
    assert model.nodes["z"]["log_prob"].shape == (40,)


@pytest.mark.parametrize("prior", HIERARCHICAL)
def test_svi_trains_the_scales(x: Tensor, prior: str) -> None:
    vae = small_vae(prior)
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), TraceMeanField_ELBO())
    losses = [svi.step(x) for _ in range(120)]
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])
    assert all(not torch.equal(p, before[name]) for name, p in vae.named_parameters())


@pytest.mark.parametrize("prior", HIERARCHICAL)
def test_global_kl_counts_once_for_the_data_set(x: Tensor, prior: str) -> None:
    vae = small_vae(prior)
    program = LossProgram(vae, Elbo())
    # With all data in the batch, the loss per datum is Pyro's ELBO of the data set over n.
    pyros = TraceMeanField_ELBO(num_particles=100).loss(vae.model, vae.guide, x) / len(x)
    with torch.no_grad():
        ours = torch.stack([program(x, {})[0] for _ in range(100)])
    assert abs(pyros - ours.mean().item()) < 6 * (2 / 100) ** 0.5 * ours.std().item()
    # In a minibatch of a larger data set it counts less by the ratio of the sizes.
    traces = trace_pair(vae.model, vae.guide, x)
    full, tenth = terms(*traces, data_size=40), terms(*traces, data_size=400)
    assert full.shared.item() > 0
    torch.testing.assert_close(full.shared / 10, tenth.shared)
    torch.testing.assert_close(full.rate, tenth.rate)


def test_trainer_knows_the_size_of_the_data_set(x: Tensor) -> None:
    program = LossProgram(small_vae("ard"), Elbo())
    seen = []
    forward = program.objective.forward

    def spy(vae, batch, hyper, data_size):  # type: ignore[no-untyped-def]
        seen.append((len(batch), data_size))
        return forward(vae, batch, hyper, data_size)

    program.objective.forward = spy  # type: ignore[method-assign]
    settings = TrainingSettings(steps=1, batch_size=8, records=1)
    Trainer(program, small_images(), settings, compiled=False)
    assert seen[-1] == (8, 40)


@pytest.mark.parametrize("prior", HIERARCHICAL)
def test_predictive_draws_scales_and_codes(x: Tensor, prior: str) -> None:
    vae = small_vae(prior)
    for parallel in (False, True):
        drawn = Predictive(vae.model, num_samples=5, parallel=parallel)(None, 7)
        assert drawn["x"].shape == (5, 7, 1, 8, 8)
        last = drawn[vae.prior.global_sites[-1]]
        assert last.shape[0] == 5
        assert last.shape[-1] == 3


def test_nuts_finds_the_precision_of_a_conjugate_model() -> None:
    # Codes are observed: then the precision's posterior is Gamma(a + n/2, b + sum z²/2).
    vae = small_vae("ard", latent_dim=1)
    z = 3 * torch.randn(30, 1)
    model = poutine.block(poutine.condition(vae.model, data={"z": z}), hide=["x"])
    mcmc = MCMC(NUTS(model), num_samples=300, warmup_steps=60, disable_progbar=True)
    mcmc.run(None, 30)
    drawn = mcmc.get_samples()["prior.precision"].squeeze(-1)
    exact = torch.distributions.Gamma(1 + 15.0, 1 + z.square().sum() / 2)
    # An ESS of at least 60: five standard errors.
    assert abs(drawn.mean() - exact.mean) < 5 * exact.stddev / 60**0.5


@pytest.mark.parametrize("prior", HIERARCHICAL)
def test_a_datum_sees_the_scales_at_their_medians(x: Tensor, prior: str) -> None:
    vae = small_vae(prior)
    model, guide = trace_pair(vae.datum_model, vae.datum_guide, x)
    assert set(vae.prior.global_sites).isdisjoint(model.nodes)
    z = guide.nodes["z"]["value"]
    torch.testing.assert_close(model.nodes["z"]["fn"].log_prob(z), vae.prior_law().log_prob(z))
    if prior == "ard":
        with torch.no_grad():
            vae.prior.precision.loc.fill_(torch.tensor(4.0).log())
        torch.testing.assert_close(vae.prior_law().variance, torch.full((3,), 0.25))


def test_relevance_is_found() -> None:
    # Three directions of the data vary, five codes compete: two lose their variance.
    n = 4000
    x = torch.randn(n, 3) @ (2 * torch.eye(3, 6)) + 0.1 * torch.randn(n, 6)
    vae = build_vae(
        (6,),
        5,
        network={"name": "mlp", "hidden": []},
        prior={"name": "ard"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian"},
    )
    settings = TrainingSettings(steps=600, batch_size=256, lr=1e-2, records=1)
    program = LossProgram(vae, Elbo())
    Trainer(program, x, settings, compiled=False).train(program, seed=0)
    from pyrovae.measures.collapse import measure_units

    assert int(measure_units(vae, x).active.sum()) == 3


# --- vampprior -----------------------------------------------------------------------------------


def test_pseudo_inputs_start_from_the_data_and_are_trained(x: Tensor) -> None:
    vae = small_vae("vampprior")
    assert all((row == x).flatten(1).all(1).any() for row in vae.prior.inputs)
    start = vae.prior.inputs.detach().clone()
    program = LossProgram(vae, Elbo())
    settings = TrainingSettings(steps=5, batch_size=8, records=1, lr=1e-2)
    Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    assert not torch.equal(start, vae.prior.inputs)


@pytest.mark.parametrize("posterior", ["mean_field_normal", "nsf", "von_mises_fisher"])
def test_vampprior_is_the_mean_of_the_posteriors(x: Tensor, posterior: str) -> None:
    vae = small_vae("vampprior", posterior)
    q = vae.encode(vae.prior.inputs)
    z = q.sample((7,))[:, 0]
    each = torch.stack([vae.encode(u.unsqueeze(0)).log_prob(z) for u in vae.prior.inputs])
    expected = each.logsumexp(0) - torch.tensor(6.0).log()
    torch.testing.assert_close(vae.prior_law().log_prob(z), expected, rtol=1e-4, atol=1e-4)


def test_vampprior_draws_from_each_component() -> None:
    vae = small_vae("vampprior", latent_dim=2)
    with torch.no_grad():
        vae.posterior.scale.bias.fill_(-8.0)
        vae.posterior.loc.weight.mul_(50)
    centres = vae.encode(vae.prior.inputs).mean
    drawn = vae.prior_law().sample((6000,))
    nearest = torch.cdist(drawn, centres).argmin(1).bincount(minlength=6)
    # Counts are Binomial(6000, 1/6): five standard deviations.
    assert ((nearest - 1000).abs() < 5 * (6000 * 5 / 36) ** 0.5).all()


def test_a_copy_binds_its_own_encoder(x: Tensor) -> None:
    vae = small_vae("vampprior")
    twin = copy.deepcopy(vae)
    with torch.no_grad():
        twin.posterior.loc.bias.add_(100.0)
    assert vae.prior_law().mean.max() < 50 < twin.prior_law().mean.min()


def test_parameters_are_restored_without_data() -> None:
    vae = small_vae("vampprior")
    other = small_vae("vampprior", seed=1)
    other.load_state_dict(vae.state_dict())
    torch.testing.assert_close(other.prior_law().mean, vae.prior_law().mean)


# --- two_stage -----------------------------------------------------------------------------------


def test_two_stage_trains_the_first_stage_as_a_standard_normal_prior(x: Tensor) -> None:
    vae = small_vae("two_stage")
    plain = small_vae("standard_normal")
    shared = plain.state_dict().keys() & vae.state_dict().keys()
    plain.load_state_dict({name: vae.state_dict()[name] for name in shared}, strict=False)
    losses = []
    for each in (vae, plain):
        torch.manual_seed(0)
        loss, _ = LossProgram(each, OBJECTIVES.create("elbo"))(x, {})
        loss.backward()
        losses.append(loss)
    assert torch.equal(*losses)
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter.grad, vae.get_parameter(name).grad)
    assert all(p.grad.abs().sum() > 0 for p in vae.prior.parameters())


def test_second_stage_learns_the_codes() -> None:
    vae = small_vae("two_stage", latent_dim=2)
    # A ring: N(0, I) misses it by far.
    angle = 2 * torch.pi * torch.rand(4000)
    z = torch.stack([angle.cos(), angle.sin()], 1) * 3 + 0.1 * torch.randn(4000, 2)
    optimizer = torch.optim.Adam(vae.prior.parameters(), lr=3e-3)
    for _ in range(800):
        optimizer.zero_grad()
        with poutine.trace() as tr:
            vae.prior.learn_from(z[torch.randint(4000, (256,))])
        (-tr.trace.nodes["prior.second_stage"]["fn"].log_factor.mean()).backward()
        optimizer.step()
    radius = vae.prior_law().sample((4000,)).norm(dim=1)
    assert abs(radius.mean() - 3) < 0.3
    assert radius.std() < 0.9  # that of N(0, 3² / 2 I) is 1.4
    bound = vae.prior.second_bound(z).mean()
    normal = vae.prior_law().log_prob(z).mean()
    assert bound > normal + 1


def test_semi_amortized_improves_on_its_encoder(x: Tensor) -> None:
    vae = small_vae("standard_normal", "semi_amortized")
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(3)
        plain = pyro.distributions.Normal(
            vae.posterior.loc(vae.encoder(x)), torch.ones(40, 3)
        ).to_event(1)

        def bound(q: torch.distributions.Distribution) -> float:
            z = q.sample((200,))
            return float((vae._log_joint(x, None, z) - q.log_prob(z)).mean())

        assert bound(vae.encode(x)) > bound(plain) + 0.1
