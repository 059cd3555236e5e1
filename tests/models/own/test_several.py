"""Programs with several sites, as Pyro's examples ``ss_vae_M2`` and ``dmm`` have them."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from models.own.pyros import DMM, dmm, ss_vae_m2
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor, nn
from torch.distributions import kl_divergence

import pyrovae
from pyrovae.api.checks.training import trains_alike
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.core.given import Given
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.datasets.base import Dataset, Split
from pyrovae.measures.collapse import measure_units, measure_usage, posterior_means
from pyrovae.measures.collapse.bounds import estimate_bound
from pyrovae.measures.collapse.interventions import explained
from pyrovae.measures.collapse.measure import CollapseSettings, measure_collapse
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.samplers import fit_sampler
from pyrovae.models.own import UserModel
from pyrovae.objectives import OBJECTIVES, Elbo, SemiSupervised
from pyrovae.training import LossProgram, Trainer, TrainingSettings

PIXELS, STEPS, WIDTH = 6, 3, 4


def own(build: Any, shape: tuple[int, ...], latent_dim: int, **parameters: Any) -> UserModel:
    """Return a user's model off its start."""
    with seeded(0), pyro.settings.context(module_local_params=True):
        vae = UserModel(build(shape, latent_dim, **parameters), shape, latent_dim)
        with torch.no_grad():
            for parameter in vae.parameters():
                parameter.add_(0.4 * torch.randn_like(parameter))
    return vae


def bits(*shape: int) -> Tensor:
    with seeded(1):
        return (torch.rand(*shape) > 0.5).float()


# --- labels: ss_vae_M2 called without ys --------------------------------------------------------


@pytest.fixture(scope="module")
def m2() -> UserModel:
    return own(ss_vae_m2, (PIXELS,), 3)


def test_sites_are_blocks_of_one_code(m2: UserModel) -> None:
    assert m2.blocks is not None
    assert (m2.blocks.names, m2.blocks.sizes) == (("z", "y"), (2, 1))
    assert m2.classes == (0, 0, 3)
    x = bits(5, PIXELS)
    with seeded(2):
        z = m2.encode(x).sample()
    assert z.shape == (5, 3)
    assert set(z[:, 2].tolist()) <= {0.0, 1.0, 2.0}
    given = poutine.condition(m2.datum_guide, data=m2.latents(z))
    trace = poutine.trace(given).get_trace(x)
    log_q = sum(trace.nodes[n]["fn"].log_prob(trace.nodes[n]["value"]) for n in ("y", "z"))
    torch.testing.assert_close(m2.encode(x).log_prob(z), log_q)
    # The same codes under the posteriors of other data.
    torch.testing.assert_close(m2.encode(x).log_prob(z.unsqueeze(1))[range(5), range(5)], log_q)
    joint = poutine.trace(poutine.condition(m2.datum_model, data=m2.latents(z))).get_trace(x)
    log_p = sum(joint.nodes[n]["fn"].log_prob(joint.nodes[n]["value"]) for n in ("y", "z"))
    torch.testing.assert_close(m2.prior_law().log_prob(z), log_p)
    log_x = joint.nodes["x"]["fn"].log_prob(x)
    torch.testing.assert_close(m2.decode(z).log_prob(x), log_x)


def gradients(vae: UserModel, x: Tensor, repeats: int = 10) -> tuple[Tensor, Tensor]:
    wanted = [p for p in vae.parameters() if p.requires_grad]
    grads, losses = [], []
    with seeded(3), OwnParams():
        for _ in range(repeats):
            loss, _ = Elbo()(vae, x, {}, len(x))
            found = torch.autograd.grad(loss, wanted)
            grads.append(torch.cat([g.flatten() for g in found]))
            losses.append(loss.detach())
    return torch.stack(grads), torch.stack(losses)


def test_a_sum_over_labels_and_scores_of_draws_agree_and_are_pyros(m2: UserModel) -> None:
    drawn = own(ss_vae_m2, (PIXELS,), 3, enumerated=False)
    drawn.load_state_dict(m2.state_dict())
    assert (m2.draws, drawn.draws) == (1, 4)
    x = bits(4, PIXELS).repeat(150, 1)
    (summed, a), (scored, b) = gradients(m2, x), gradients(drawn, x)
    error = (scored.var(0) + summed.var(0)).div(len(scored)).sqrt()
    assert ((scored.mean(0) - summed.mean(0)).abs() < 6.5 * error + 1e-6).all()
    assert summed.var(0).sum() < 0.5 * scored.var(0).sum()
    spread = (a.var() + b.var()).div(len(a)).sqrt()
    assert (a.mean() - b.mean()).abs() < 5 * spread
    with seeded(4):
        pyros = torch.tensor(
            [Trace_ELBO().loss(drawn.model, drawn.guide, x) / len(x) for _ in range(10)]
        )
    assert (a.mean() - pyros.mean()).abs() < 5 * (a.var() + pyros.var()).div(10).sqrt()


def test_rates_of_a_sum_are_those_of_the_bound(m2: UserModel) -> None:
    x = bits(4, PIXELS)
    with OwnParams(), seeded(5):
        found = m2.training_terms(x.repeat(500, 1), samples=1, data_size=4)
        bound = estimate_bound(m2.datum_model, m2.datum_guide, x, samples=200, seed=0)
    names = [q["name"] for q, _ in found.local]
    for name, rate in zip(names, found.rates, strict=True):
        own_rate = rate.reshape(500, 4).mean(0)
        torch.testing.assert_close(own_rate, bound.rates[name], rtol=0.1, atol=0.1)
    torch.testing.assert_close(
        found.distortion.reshape(500, 4).mean(0), bound.distortion, rtol=0, atol=0.3
    )


@pytest.mark.parametrize("enumerated", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_trains_alone_as_beside_others(enumerated: bool) -> None:
    with pyro.settings.context(module_local_params=True):
        trains_alike(
            lambda seed: _seeded(seed, enumerated), data=(255 * bits(16, PIXELS)).to(torch.uint8)
        )


def _seeded(seed: int, enumerated: bool) -> UserModel:
    with seeded(seed):
        return UserModel(ss_vae_m2((PIXELS,), 3, enumerated=enumerated), (PIXELS,), 3)


def test_everything_is_measured_by_unit_and_by_site(m2: UserModel) -> None:
    x = bits(60, PIXELS)
    found = measure_collapse(m2, x, CollapseSettings(sensitivity_points=16), 4, 0)
    assert found.table["layer"].tolist() == ["z", "z", "y"]
    assert found.table["classes"].tolist() == [0, 0, 3]
    assert {"used_units_z", "used_units_y", "code_perplexity"} <= set(found.scores)
    numbers = found.table.drop(columns=["layer", "perplexity", "weight_norm", "aggregate_kl_se"])
    assert numbers.notna().all(axis=None)
    units, bound = (
        measure_units(m2, x, samples=200),
        estimate_bound(m2.datum_model, m2.datum_guide, x, samples=200),
    )
    assert units.kl.sum() == pytest.approx(float(bound.rate.mean()), abs=0.05)
    # y is drawn first: its information is known from q(y|x) alone.
    with torch.no_grad():
        chances = m2.encode(x).law(1, {}).base_dist.shares[:, 0]
    mean = chances.mean(0)
    exact = float((chances * (chances / mean).log()).sum(-1).mean())
    assert found.table["mi"][2] == pytest.approx(exact, abs=1e-4)
    usage = measure_usage(m2, x)
    assert usage is not None
    perplexity = float(torch.special.entr(mean).sum().exp())
    assert usage.perplexity[2] == pytest.approx(perplexity, rel=1e-4)
    assert set(posterior_means(m2, x)[:, 2].tolist()) <= {0.0, 1.0, 2.0}


def test_known_labels_give_the_terms_of_m2(m2: UserModel) -> None:
    """Equation 6 of Kingma et al. where y is known, equation 7 elsewhere; against Pyro's traces."""
    n = 6
    x, labels = bits(n, PIXELS), torch.arange(n) % 3
    known = torch.eye(3)[labels] * (torch.arange(n) < 4).unsqueeze(-1)
    with seeded(7), OwnParams():
        found, log_label = m2.terms_given_labels(Given(x, known), data_size=n)
    # The same noise of z: the guide draws it for all copies of the data, one value after the other.
    expected, cross = torch.zeros(n), torch.zeros(n)
    with seeded(7), OwnParams():
        fixed = torch.eye(3).repeat_interleave(n, 0)
        copies = x.repeat(3, 1)
        guide = poutine.trace(poutine.condition(m2.guide, data={"y": fixed})).get_trace(copies)
        given = poutine.condition(m2.model, data={"y": fixed})
        model = poutine.trace(poutine.replay(given, trace=guide)).get_trace(copies)
    log_q = guide.nodes["y"]["fn"].log_prob(fixed).reshape(3, n)
    log_p = model.nodes["y"]["fn"].log_prob(fixed).reshape(3, n)
    log_x = model.nodes["x"]["fn"].log_prob(copies).reshape(3, n)
    kl = kl_divergence(guide.nodes["z"]["fn"], model.nodes["z"]["fn"]).reshape(3, n)
    joint = kl - log_x - log_p
    for i in range(n):
        if known[i].any():
            expected[i], cross[i] = joint[labels[i], i], log_q[labels[i], i]
        else:
            expected[i] = (log_q[:, i].exp() * (joint[:, i] + log_q[:, i])).sum()
    torch.testing.assert_close(found.distortion + found.rate, expected)
    torch.testing.assert_close(log_label, cross)


def test_few_labels_name_the_classes() -> None:
    """Three patterns with noise: 5 labels of each name what the others are told apart by."""
    with seeded(8):
        labels = torch.randint(3, (300,))
        flipped = (torch.rand(300, 6) < 0.1).float()
    x = (torch.eye(3)[labels].repeat_interleave(2, 1) - flipped).abs()
    split = Split(x, labels={"label": labels.numpy()})
    data = Dataset("patterns", split, split)
    with pyro.settings.context(module_local_params=True):
        vae = _seeded(0, True)
    objective = SemiSupervised(labels="label", known=15, alpha=5.0)
    program = LossProgram(vae, objective)
    trained = objective.trained_on(data)
    assert trained.context.sum(0).tolist() == [5.0, 5.0, 5.0]
    settings = TrainingSettings(steps=250, batch_size=50, records=1, lr=1e-2)
    Trainer(program, trained, settings, compiled=False).train(program, seed=0)
    assert (posterior_means(vae, x)[:, 2] == labels).float().mean() > 0.95
    with pytest.raises(ConfigError, match="no label of data set"):
        SemiSupervised(labels="digit", known=15).trained_on(data)
    with pytest.raises(ConfigError, match="sums over"):
        LossProgram(own(dmm, (STEPS, WIDTH), 2 * STEPS), objective)


def test_what_is_for_real_codes_refuses_labels(m2: UserModel) -> None:
    x = bits(30, PIXELS)
    with pytest.raises(ConfigError, match="codes in real space"):
        fit_sampler(m2, x, {"name": "mixture", "components": 2})
    with pytest.raises(PyrovaeError, match="codes of labels are not pruned"):
        pyrovae.prune(m2, x, criterion="variance")
    with pytest.raises(PyrovaeError, match="NUTS is for real codes"):
        Density(m2, x)


def test_objectives_of_single_draws_refuse_labels(m2: UserModel) -> None:
    with pytest.raises(ConfigError, match="codes of labels have none"):
        LossProgram(m2, OBJECTIVES.create("iwae"))


# --- sequences: dmm -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steps() -> UserModel:
    return own(dmm, (STEPS, WIDTH), 2 * STEPS)


def test_a_deep_markov_model_has_a_site_for_each_step(steps: UserModel) -> None:
    assert steps.blocks is not None
    assert steps.blocks.names == ("z_1", "z_2", "z_3")
    x = bits(5, STEPS, WIDTH)
    with seeded(2):
        z = steps.encode(x).sample()
        law = steps.decode(z)
    joint = poutine.trace(poutine.condition(steps.datum_model, data=steps.latents(z))).get_trace(x)
    names = [f"{kind}_{t}" for kind in ("z", "obs_x") for t in (1, 2, 3)]
    log = {n: joint.nodes[n]["fn"].log_prob(joint.nodes[n]["value"]) for n in names}
    torch.testing.assert_close(law.log_prob(x), sum(log[f"obs_x_{t}"] for t in (1, 2, 3)))
    torch.testing.assert_close(steps.prior_law().log_prob(z), sum(log[f"z_{t}"] for t in (1, 2, 3)))
    assert law.mean.shape == law.sample().shape == (5, STEPS, WIDTH)
    emitted = joint.nodes["obs_x_2"]["fn"].base_dist.base_dist.probs
    torch.testing.assert_close(law.mean[:, 1], emitted)


def test_a_step_explains_what_comes_after_it(steps: UserModel) -> None:
    x = bits(5, STEPS, WIDTH)
    with seeded(2), torch.no_grad():
        z = steps.encode(x).sample()
        joint = poutine.trace(
            poutine.condition(steps.datum_model, data=steps.latents(z))
        ).get_trace(x)
        sites = [joint.nodes[f"z_{t}"] for t in (1, 2, 3)]
        log_z = [site["fn"].log_prob(site["value"]) for site in sites]
        log_x = steps.decode(z).log_prob(x)
        for block in range(STEPS):
            expected = log_x + sum(log_z[block + 1 :])
            torch.testing.assert_close(explained(steps, z, x, block), expected)


def test_its_loss_is_pyros_own(steps: UserModel) -> None:
    x = bits(7, STEPS, WIDTH)
    pyro.clear_param_store()
    torch.manual_seed(6)
    loss, _ = Elbo()(steps, x, {}, 7)
    torch.manual_seed(6)
    theirs = TraceMeanField_ELBO().loss(steps.model, steps.guide, x) / 7
    assert loss.item() == pytest.approx(theirs, rel=1e-5)


def test_nuts_sees_all_steps_at_once(steps: UserModel) -> None:
    x = bits(3, STEPS, WIDTH)
    density = Density(steps, x)
    z = torch.randn(3, 2 * STEPS)
    found = density(z)
    torch.testing.assert_close(found.log_prior, steps.prior_law().log_prob(z))
    torch.testing.assert_close(found.log_likelihood, steps.decode(z).log_prob(x))


def test_its_measures_are_by_step(steps: UserModel) -> None:
    x = bits(40, STEPS, WIDTH)
    found = measure_collapse(steps, x, CollapseSettings(sensitivity_points=8), 4, 0)
    assert found.table["layer"].tolist() == ["z_1", "z_1", "z_2", "z_2", "z_3", "z_3"]
    assert "used_units_z_3" in found.scores
    assert "used_layers" not in found.scores  # no layer is above another


# --- what is refused ----------------------------------------------------------------------------


def _shorter(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """Sequences that end at a step of zeros."""
    steps, width = event_shape
    net = DMM(width, latent_dim // steps)

    def given(program: Any) -> Any:
        def called(x: Tensor) -> Any:
            mask = x.abs().sum(-1).cumprod(-1) > 0
            return program(x, x.flip(1), mask, mask.sum(-1))

        return called

    return given(net.model), given(net.guide)


def test_masked_steps_have_no_law() -> None:
    vae = own(_shorter, (STEPS, WIDTH), 2 * STEPS)
    x = bits(4, STEPS, WIDTH)
    x[:, -1] = 0
    with pytest.raises(ConfigError, match="data of one length"):
        vae.encode(x).sample()


def _twice(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    net = nn.Linear(latent_dim, event_shape[0])

    def model(x: Tensor) -> None:
        pyro.module("net", net)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))
            pyro.sample("a", dist.Normal(net(z), 1.0).to_event(1), obs=x)
            pyro.sample("b", dist.Normal(net(z)[:, 0], 1.0), obs=x[:, 0])

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x[:, :latent_dim], 1.0).to_event(1))

    return model, guide


@pytest.mark.parametrize(
    ("build", "latent_dim", "told"),
    [
        (ss_vae_m2, 4, None),
        (_twice, 2, "twice, at its sites 'a' and 'b'"),
    ],
)
def test_what_does_not_fit_is_said(build: Any, latent_dim: int, told: str | None) -> None:
    with pyro.settings.context(module_local_params=True):
        programs = build((PIXELS,), latent_dim)
        if told is None:
            with pytest.raises(ConfigError, match="has 4 units in its latent sites"):
                UserModel(programs, (PIXELS,), latent_dim + 1)
        else:
            with pytest.raises(ConfigError, match=told):
                UserModel(programs, (PIXELS,), latent_dim)
