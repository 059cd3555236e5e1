"""Conditional models against closed forms: linear ones, whose p(x|c) and posteriors are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import Predictive, TraceMeanField_ELBO
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import pyrovae
from pyrovae.core.errors import ConfigError, IncompatibleError
from pyrovae.core.given import Given
from pyrovae.datasets.streamed import Streamed
from pyrovae.measures.collapse import estimate_bound, measure_information, measure_units
from pyrovae.measures.collapse.floors import floors
from pyrovae.measures.collapse.use import measure_use
from pyrovae.measures.collapse.within import NEAR, partners
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.reference import sample_posterior
from pyrovae.models.posteriors.base import raw_scale
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram, Member, Snapshot, Stopped, Trainer, TrainingSettings

CLASSES, DIM, LATENT, NOISE = 3, 6, 3, 0.6
#: Lengths of the decoder's columns: the last unit is of no use.
GAINS = (2.0, 1.0, 0.0)


@dataclass
class Linear:
    """x = W z + B c + noise and z = m(c) + s(c) e, with the guide at the exact posterior."""

    vae: VAE
    weights: Tensor
    shift: Tensor
    loc: Tensor
    scale: Tensor

    def log_px(self, x: Tensor, context: Tensor) -> Tensor:
        spread = self.weights @ torch.diag_embed((context @ self.scale).square()) @ self.weights.T
        mean = context @ (self.shift + self.loc @ self.weights.T)
        return MultivariateNormal(mean, spread + NOISE**2 * torch.eye(DIM)).log_prob(x)

    def data(self, n: int) -> Given:
        context = torch.eye(CLASSES)[torch.arange(n) % CLASSES]
        x = Predictive(self.vae.model, num_samples=1)(None, context)["x"][0]
        return Given(x, context)


def linear(*, moving: bool) -> Linear:
    """Return a model whose columns are orthogonal: its posteriors are diagonal, and linear in x."""
    vae = pyrovae.build(
        DIM,
        latent_dim=LATENT,
        network={"name": "mlp", "hidden": []},
        likelihood={"name": "gaussian", "sigma": NOISE, "learned": False},
        condition={"size": CLASSES, "prior": moving},
    )
    torch.manual_seed(3)
    weights = torch.linalg.qr(torch.randn(DIM, LATENT)).Q * torch.tensor(GAINS)
    shift = 2 * torch.randn(CLASSES, DIM)
    loc, scale = torch.zeros(CLASSES, LATENT), torch.ones(CLASSES, LATENT)
    if moving:
        loc, scale = 3 * torch.randn(CLASSES, LATENT), 0.5 + torch.rand(CLASSES, LATENT)
    variance = 1 / (scale**-2 + (weights.square().sum(0) / NOISE**2))
    # All classes share one gain of the mean only where the prior does not move: take a matrix each.
    gain = variance[:, :, None] * weights.T / NOISE**2
    offset = variance * loc / scale**2 - torch.einsum("kud,kd->ku", gain, shift)
    decoder = next(m for m in vae.decoder.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        decoder.weight.copy_(torch.cat([weights, shift.T], 1))
        decoder.bias.zero_()
        vae.posterior.scale.weight.zero_()
        vae.posterior.scale.bias.zero_()
        vae.posterior.scale.weight[:, DIM:] = raw_scale(variance.sqrt()).T
        vae.posterior.loc.bias.zero_()
        if moving:
            vae.prior_map.map.weight.copy_(torch.cat([loc, raw_scale(scale)], 1).T)
    if moving:
        vae.posterior.loc = _ByClass(gain, offset)
    else:
        with torch.no_grad():
            vae.posterior.loc.weight.copy_(torch.cat([gain[0], offset.T], 1))
    return Linear(vae, weights, shift, loc, scale)


class _ByClass(nn.Module):
    """A linear map for each class: posteriors under a moving prior shrink by its width."""

    def __init__(self, gain: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.gain, self.offset = gain, offset

    def forward(self, features: Tensor) -> Tensor:
        x, context = features[..., :DIM], features[..., DIM:]
        gain = torch.einsum("...k,kud->...ud", context, self.gain)
        return (gain @ x.unsqueeze(-1)).squeeze(-1) + context @ self.offset


@pytest.fixture(scope="module", params=[False, True], ids=["p(z)", "p(z|c)"])
def exact(request: pytest.FixtureRequest) -> Linear:
    return linear(moving=request.param)


def test_bounds_are_log_px_given_c_where_the_guide_is_exact(exact: Linear) -> None:
    data = exact.data(60)
    bound = estimate_bound(exact.vae.datum_model, exact.vae.datum_guide, data, samples=3)
    # Every importance weight is p(x|c) itself.
    expected = exact.log_px(data.x, data.context)
    torch.testing.assert_close(bound.log_px, expected, atol=2e-3, rtol=0)


def test_the_loss_is_pyros_on_the_same_programs(exact: Linear) -> None:
    data = exact.data(20)
    program = LossProgram(exact.vae, OBJECTIVES.create("elbo"))
    torch.manual_seed(1)
    loss, _ = program(data, {})
    pyro.clear_param_store()
    torch.manual_seed(1)
    theirs = TraceMeanField_ELBO().loss(exact.vae.model, exact.vae.guide, data.x, data.context)
    assert float(loss.detach()) == pytest.approx(theirs / 20, rel=1e-5)


def test_the_density_is_that_of_the_posterior_given_c(exact: Linear) -> None:
    data = exact.data(3)
    z = torch.randn(3, LATENT)
    found = Density(exact.vae, data)(z).tempered()
    mean = z @ exact.weights.T + data.context @ exact.shift
    prior = torch.distributions.Normal(data.context @ exact.loc, data.context @ exact.scale)
    likelihood = torch.distributions.Normal(mean, NOISE)
    expected = prior.log_prob(z).sum(-1) + likelihood.log_prob(data.x).sum(-1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-5)


def test_nuts_draws_from_the_posterior_given_c() -> None:
    exact = linear(moving=True)
    data = exact.data(3)
    drawn = sample_posterior(exact.vae, data, chains=2, warmup=60, draws=300, seed=0).z
    q = exact.vae.encode(data.x, data.context)
    error = (drawn.mean((0, 1)) - q.mean.detach().numpy()) / q.stddev.detach().numpy()
    assert np.abs(error).max() < 5 / 150**0.5  # 600 draws are worth 150 and more
    np.testing.assert_allclose(drawn.std((0, 1)), q.stddev.detach(), rtol=0.25)


def test_units_are_measured_given_c(exact: Linear) -> None:
    data = exact.data(900)
    units = measure_units(exact.vae, data)
    within = data.context.argmax(1)
    scale = exact.scale
    signal = exact.weights.square().sum(0) * scale.square() / NOISE**2
    # Var(E[z|x, c] | c) = s² r / (1 + r), and I(x; z_u | c) = log(1 + r) / 2, r the signal's share.
    var_mu = (scale.square() * signal / (1 + signal)).mean(0)
    information = 0.5 * torch.log1p(signal).mean(0)
    assert (units.var_mu - var_mu).abs().max() < 0.15 * float(var_mu.max())
    assert units.active.tolist() == [True, True, False]
    assert units.collapsed.tolist() == [False, False, True]
    torch.testing.assert_close(units.kl, information, atol=0.12, rtol=0)
    found = measure_information(exact.vae, data)
    torch.testing.assert_close(found.unit, information, atol=0.15, rtol=0)
    assert found.points == 300
    use = measure_use(exact.vae, data, units, start=256, most=900).counted
    assert use.used.tolist() == use.informative.tolist() == [True, True, False]
    if exact.vae.condition is not None and exact.vae.condition.prior:
        # Over all classes the idle unit's mean moves by far more than Burda's 0.01.
        means = exact.vae.encode(data.x, data.context).mean[:, 2]
        assert means.var() > 1
        assert means[within == 0].var() < 1e-6


def test_all_collapses_given_what_x_is_a_function_of() -> None:
    """A unit pays where a direction has more variance than sigma² (Lucas et al. 2019).

    Given c there is 1 in each, and sigma² is 2.25; without c, means of classes are 6 apart.
    """
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 2000)
    x = (np.eye(3)[kind] @ np.array([[3, 0, 0, 3], [0, 3, -3, 0], [-3, -3, 3, -3]])).astype("f4")
    x += rng.normal(size=x.shape).astype("f4")
    used = {}
    for name, condition in (("given", {"labels": kind}), ("alone", None)):
        vae = pyrovae.build(
            4,
            latent_dim=3,
            network={"name": "mlp", "hidden": []},
            likelihood={"name": "gaussian", "sigma": 1.5, "learned": False},
            condition=condition,
        )
        told = {"context": kind} if condition else {}
        lr = {"schedule": "cosine", "from": 0.03, "to": 0.0, "steps": 700}
        vae = pyrovae.fit(vae, x, steps=700, lr=lr, records=1, progress=False, **told)
        report = pyrovae.collapse(vae, x, points=400, information_points=300, **told)
        used[name] = [report.scores[f"{how}_units"] for how in ("used", "informative", "active")]
        rate = report.scores["rate"]
        assert rate < 0.05 if condition else rate > 1
    assert used == {"given": [0, 0, 0], "alone": [2, 2, 2]}


def test_partners_share_a_context_or_are_the_nearest() -> None:
    torch.manual_seed(0)
    context = torch.cat([torch.eye(2)[torch.arange(40) % 2], torch.rand(30, 2) + 2])
    found = partners(context)
    own = torch.arange(len(context)).unsqueeze(1)
    assert (found != own).all()
    assert (context[found[:40]] == context[:40, None]).all()
    assert all(len(set(row)) == NEAR for row in found.tolist())
    for i in range(40, 70):
        distance = (context - context[i]).norm(dim=1)
        distance[i] = torch.inf
        assert set(found[i].tolist()) == set(distance.topk(NEAR, largest=False).indices.tolist())


def small(network: str = "mlp", **options: Any) -> VAE:
    wide = {"hidden": [8]} if network == "mlp" else {"channels": [4]}
    return pyrovae.build(
        (1, 8, 8), latent_dim=2, network={"name": network, **wide}, condition=4, **options
    )


@pytest.fixture(scope="module")
def images() -> Given:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (50, 1, 8, 8), generator=generator).to(torch.uint8)
    return Given(x, torch.eye(4)[torch.arange(50) % 4])


SETTINGS = TrainingSettings(steps=8, batch_size=16, records=2)


def _parameters(program: LossProgram) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in program.named_parameters()}


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_it_trains_alone_together_from_files_and_resumed_to_the_bit(
    network: str, images: Given
) -> None:
    def program(seed: int = 0) -> LossProgram:
        return LossProgram(small(network, seed=seed), OBJECTIVES.create("elbo"))

    alone = program()
    Trainer(alone, images, SETTINGS, compiled=False).train(alone, 0)
    expected = _parameters(alone)
    assert any(not torch.equal(p, _parameters(program())[n]) for n, p in expected.items())
    rows = Streamed(
        lambda index: images.x[torch.from_numpy(index)], torch.arange(50), (1, 8, 8), torch.uint8
    )
    streamed = program()
    source = Given(rows, images.context)
    Trainer(streamed, source, SETTINGS, compiled=False).train(streamed, 0)
    assert all(torch.equal(p, expected[n]) for n, p in _parameters(streamed).items())
    kept: list[Snapshot] = []
    first = program()
    trainer = Trainer(first, images, SETTINGS, compiled=False)
    asked = iter([True])
    member = Member(first, 0, SETTINGS, keep=lambda snapshot, _: kept.append(snapshot))
    with pytest.raises(Stopped):
        list(trainer.train_together([member], stop=lambda: next(asked, False)))
    assert kept[0].step == 4
    resumed = program()
    list(trainer.train_together([Member(resumed, 0, SETTINGS, start=kept[0])]))
    assert all(torch.equal(p, expected[n]) for n, p in _parameters(resumed).items())
    both = [program(0), program(1)]
    together = Trainer(both[0], images, SETTINGS, compiled=False, size=2)
    list(together.train_together([Member(p, i, SETTINGS) for i, p in enumerate(both)]))
    for name, p in _parameters(both[0]).items():
        torch.testing.assert_close(p, expected[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("objective", ["iwae", "dreg", "piwae", "miwae", "free_bits", "capacity"])
def test_objectives_of_single_data_take_a_context(objective: str, images: Given) -> None:
    vae = small(prior="student_t")
    program = LossProgram(vae, OBJECTIVES.create(objective))
    hyper = program.hyper(0)
    loss, _ = program(Given(images.x.float() / 255, images.context), hyper)
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"prior": "gaussian_mixture", "condition": {"size": 2, "prior": True}}, "location"),
        ({"prior": "vampprior", "condition": 2}, "pseudo-inputs"),
        ({"posterior": "planar", "condition": 2}, "marginals"),
        ({"posterior": "full_rank_normal", "condition": {"size": 2, "prior": True}}, "dependent"),
        ({"condition": {"size": 2, "encoder": False, "decoder": False}}, "all false"),
        ({"condition": {"labels": ["a", "a"]}}, "the same for all"),
        ({"condition": {"labels": {"k": [1, 2]}, "on": "j"}}, "'j'; did you mean|'j'; known: k"),
        ({"condition": {"labels": [1.0, float("nan")]}}, r"nan at \[1\]"),
        ({"condition": {}}, "either 'labels'"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(parts: dict[str, Any], word: str) -> None:
    with pytest.raises((ConfigError, IncompatibleError, pyrovae.core.errors.DataError), match=word):
        pyrovae.build(4, latent_dim=2, network={"name": "mlp", "hidden": [4]}, **parts)


def test_nothing_is_averaged_over_silently() -> None:
    rng = np.random.default_rng(0)
    x, kind = rng.random((40, 4)) < 0.5, rng.choice(["a", "b"], 40)
    vae = pyrovae.build(
        4,
        latent_dim=2,
        network={"name": "mlp", "hidden": [4]},
        condition={"labels": kind, "prior": True},
    )
    for act in (
        lambda: vae.encode(torch.zeros(2, 4)),
        lambda: vae.decode(torch.zeros(2, 2)),
        lambda: vae.prior_law(),
        lambda: pyrovae.fit(vae, x, steps=2, progress=False),
        lambda: pyrovae.collapse(vae, x),
        lambda: pyrovae.diagnose(vae, x),
    ):
        with pytest.raises(ConfigError, match=r"context: is missing.*label"):
            act()
    with pytest.raises(pyrovae.core.errors.DataError, match=r"'c' at \[0\].*known: a, b"):
        pyrovae.collapse(vae, x, context=np.array(["c"] * 40))
    with pytest.raises(pyrovae.core.errors.DataError, match=r"\(39,\): must be \(40,\)"):
        pyrovae.fit(vae, x, steps=2, progress=False, context=kind[1:])
    with pytest.raises(IncompatibleError, match="compares the codes of a minibatch"):
        pyrovae.fit(vae, x, "beta_tc", steps=2, progress=False, context=kind)
    with pytest.raises(pyrovae.core.errors.PyrovaeError, match="conditional model is not pruned"):
        pyrovae.prune(vae, x)
    plain = pyrovae.build(4, latent_dim=2, network={"name": "mlp", "hidden": [4]})
    with pytest.raises(ConfigError, match="is given none"):
        pyrovae.collapse(plain, x, context=kind)


def test_a_floor_moves_with_the_prior() -> None:
    parts: dict[str, Any] = {"network": {"name": "mlp", "hidden": [4]}, "prior": "laplace"}
    plain = pyrovae.build(4, latent_dim=2, **parts)
    vae = pyrovae.build(4, latent_dim=2, condition={"size": 2, "prior": True}, **parts)
    with torch.no_grad():
        vae.prior_map.map.weight.copy_(torch.randn(4, 2))
    x, context = torch.zeros(3, 4), torch.eye(2)[[0, 1, 0]]
    expected = floors(plain, x)
    assert (expected > 0.01).all()
    torch.testing.assert_close(floors(vae, Given(x, context)), expected, atol=1e-3, rtol=0)
