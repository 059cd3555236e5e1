"""What Pyro's bounds honour in a program is honoured here, or refused by name."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from program_zoo import (
    FEATURES,
    FURTHER,
    LATENT,
    LIKELIHOODS,
    PLATES,
    POSTERIORS,
    PRIORS,
    WEIGHTS,
    Drawn,
    made,
    pairs,
)
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from pyrovae.core.errors import ConfigError
from pyrovae.measures.collapse import estimate_bound
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.weights import draw_guide, log_mean
from pyrovae.models.own import UserModel
from pyrovae.models.sites import Terms
from pyrovae.objectives import OBJECTIVES, Elbo
from pyrovae.objectives.rate import unit_rates
from pyrovae.objectives.total_correlation import decompose

X = torch.rand(6, FEATURES, generator=torch.Generator().manual_seed(1))


def _own(drawn: Drawn) -> UserModel:
    return UserModel((drawn.model, drawn.guide), (FEATURES,), LATENT)


def _refusal(drawn: Drawn) -> str | None:
    try:
        _own(drawn)
    except ConfigError as error:
        return str(error)
    return None


def _pyros(bound: type, drawn: Drawn) -> Tensor:
    """Return Pyro's own loss for each datum."""
    torch.manual_seed(2)
    return torch.as_tensor(bound().differentiable_loss(drawn.model, drawn.guide, X)) / len(X)


def _ours(vae: UserModel) -> tuple[Tensor, Terms]:
    torch.manual_seed(2)
    return Elbo()(vae, X, {}, len(X))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pyro's, of pairs that do not match
@settings(max_examples=80, deadline=None)
@given(pairs())
def test_a_program_is_pyros_or_refused(drawn: Drawn) -> None:
    refusal = _refusal(drawn)
    if drawn.faults:
        assert refusal is not None
        assert any(fault in refusal for fault in drawn.faults), refusal
        assert "\n" not in refusal
        return
    assert refusal is None
    loss, found = _ours(_own(drawn))
    theirs = _pyros(TraceMeanField_ELBO, drawn)
    torch.testing.assert_close(loss, theirs)
    if theirs.requires_grad:
        slopes, expected = (
            torch.autograd.grad(of, drawn.parameters, retain_graph=True, materialize_grads=True)
            for of in (loss, theirs)
        )
        torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-4)
    # At the sample, without closed forms.
    torch.testing.assert_close(-found.log_weight.mean(), _pyros(Trace_ELBO, drawn))


FAULTY = [
    {part: name}
    for part, table in (
        ("likelihood", LIKELIHOODS),
        ("prior", PRIORS),
        ("posterior", POSTERIORS),
        ("in_model", FURTHER),
        ("in_guide", FURTHER),
        ("plate", PLATES),
    )
    for name, (_, fault) in table.items()
    if fault is not None
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("parts", FAULTY, ids=lambda parts: "-".join(*parts.items()))
def test_each_fault_is_named(parts: dict[str, str]) -> None:
    drawn = made(**parts)
    refusal = _refusal(drawn)
    assert refusal is not None
    assert any(fault in refusal for fault in drawn.faults), refusal


@pytest.mark.parametrize("guide_too", [True, False])
def test_a_scaled_rate_is_that_of_beta(guide_too: bool) -> None:
    plain, scaled = (
        _own(made()),
        made(around_z="scale", around_guide=None if guide_too else "nothing"),
    )
    if not guide_too:
        assert "one scale in the model and another in the guide" in str(_refusal(scaled))
        return
    torch.manual_seed(2)
    beta = OBJECTIVES.create("beta", beta=3.0)(plain, X, {"beta": torch.tensor(3.0)}, len(X))[0]
    torch.testing.assert_close(_ours(_own(scaled))[0], beta)


def test_a_mask_made_for_other_data_is_refused_by_name() -> None:
    drawn = made()

    def model(x: Tensor) -> None:
        with poutine.mask(mask=torch.arange(8) < 4):
            drawn.model(x)

    with pytest.raises(ConfigError, match=r"'z' has a mask of shape \(8,\) for 5 data"):
        UserModel((model, drawn.guide), (FEATURES,), LATENT)


@pytest.mark.parametrize("around", [name for name in WEIGHTS if name != "masked away"])
def test_measures_take_the_laws_without_weights(around: str) -> None:
    plain, own = _own(made()), _own(made(around_z=around, around_x=around))
    bounds = [estimate_bound(v.datum_model, v.datum_guide, X, samples=3) for v in (plain, own)]
    torch.testing.assert_close(bounds[0].log_px, bounds[1].log_px)
    torch.testing.assert_close(bounds[0].rate, bounds[1].rate)
    u = torch.randn(len(X), LATENT)
    torch.testing.assert_close(Density(own, X)(u), Density(plain, X)(u))
    weights = [draw_guide(v, X, samples=3, seed=0).log_weight for v in (plain, own)]
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize("around", ["scale", "scale of each", "scaled mask", "mask"])
def test_objectives_weigh_their_parts_of_the_rate(around: str) -> None:
    found = _ours(_own(made(around_z=around)))[1]
    assert not torch.equal(found.rate, _ours(_own(made()))[1].rate)
    torch.testing.assert_close(unit_rates(found).sum(-1), found.rate)
    torch.testing.assert_close(sum(decompose(found, "stratified")), found.log_ratio)


def test_iwae_weighs_as_the_bound_of_weighted_terms() -> None:
    vae = _own(made(around_z="scale", around_x="mask"))
    objective = OBJECTIVES.create("iwae", particles=3)
    torch.manual_seed(2)
    loss, found = objective(vae, X, {}, len(X))
    torch.manual_seed(2)
    with pyro.plate("draws", 3, dim=-2):
        guide = poutine.trace(vae.guide).get_trace(X)
        model = poutine.trace(poutine.replay(vae.model, trace=guide)).get_trace(X)
    model.compute_log_prob()
    guide.compute_log_prob()
    log_weight = model.nodes["z"]["log_prob"] + model.nodes["x"]["log_prob"]
    log_weight = log_weight - guide.nodes["z"]["log_prob"]
    torch.testing.assert_close(found.log_weight, log_weight)
    torch.testing.assert_close(loss, math.log(3) - log_weight.logsumexp(0).mean())


@pytest.mark.parametrize(
    ("objective", "parts", "message"),
    [
        ("dreg", {"around_z": "scale"}, "latent site is scaled or masked"),
        ("dreg", {"around_z": "mask"}, "latent site is scaled or masked"),
        ("balanced", {"around_x": "scale"}, "neither scaled nor masked"),
    ],
)
def test_objectives_refuse_weights_that_they_cannot_honour(
    objective: str, parts: dict[str, str], message: str
) -> None:
    vae = _own(made(**parts))
    with pytest.raises(ConfigError, match=message):
        OBJECTIVES.create(objective)(vae, X, {}, len(X))


class _HalfSeen:
    """z ~ N(0, I), x = W z + e of which the first two elements are observed, and its posterior."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.loading = torch.randn(FEATURES, LATENT, generator=generator)
        self.seen = torch.arange(FEATURES) < 2

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(LATENT), 1.0).to_event(1))
            law = dist.Normal(z @ self.loading.T, 0.5).mask(self.seen).to_event(1)
            pyro.sample("x", law, obs=x)

    def guide(self, x: Tensor) -> None:
        w = self.loading[self.seen]
        covariance = torch.linalg.inv(torch.eye(LATENT) + w.T @ w / 0.25)
        loc = x[:, self.seen] @ w @ covariance / 0.25
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(loc, covariance))


def test_unseen_elements_are_no_data_to_any_measure() -> None:
    half = _HalfSeen()
    vae = UserModel(half, (FEATURES,), LATENT)
    w = half.loading[half.seen]
    marginal = MultivariateNormal(torch.zeros(2), w @ w.T + 0.25 * torch.eye(2))
    exact = marginal.log_prob(X[:, half.seen])
    # The guide is exact: every draw has the weight p(x).
    bound = estimate_bound(vae.datum_model, vae.datum_guide, X, samples=2)
    torch.testing.assert_close(bound.log_px, exact)
    torch.testing.assert_close(
        log_mean(draw_guide(vae, X, samples=2, seed=0).log_weight).value.float(), exact
    )
    u = torch.randn(len(X), LATENT)
    expected = dist.Normal(u @ w.T, 0.5).log_prob(X[:, half.seen]).sum(-1)
    torch.testing.assert_close(Density(vae, X)(u).log_likelihood, expected)
    torch.testing.assert_close(vae.decode(u).log_prob(X), expected)


def test_observations_are_the_data_themselves() -> None:
    drawn = made()

    def model(x: Tensor) -> None:
        drawn.model((x > 0.5).float())

    with pytest.raises(ConfigError, match="observed site 'x' observes something else"):
        UserModel((model, drawn.guide), (FEATURES,), LATENT)


def test_other_sites_may_have_the_names_that_are_given_here() -> None:
    encoder, decoder = nn.Linear(FEATURES, LATENT), nn.Linear(LATENT, FEATURES)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            code = pyro.sample("code", dist.Normal(torch.zeros(LATENT), 1.0).to_event(1))
            x_mean = pyro.deterministic("x", decoder(code))
            pyro.deterministic("z", 2 * code)
            pyro.sample("image", dist.Normal(x_mean, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("code", dist.Normal(encoder(x), 1.0).to_event(1))

    vae = UserModel((model, guide), (FEATURES,), LATENT)
    torch.testing.assert_close(vae.encode(X).mean, encoder(X))
    z = torch.randn(3, LATENT)
    torch.testing.assert_close(vae.decode(z).mean, decoder(z))
    assert vae.prior_law().batch_shape == ()
