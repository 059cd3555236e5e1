"""The VAE is a pair of plain Pyro programs: it works with Pyro's own tools as it is."""

from __future__ import annotations

import pyro
import pytest
import torch
from families import PRIORS, small_images, small_vae
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, TraceMeanField_ELBO
from pyro.optim import Adam

from pyrovae.datasets.base import as_float


@pytest.fixture
def x() -> torch.Tensor:
    return as_float(small_images())


@pytest.mark.parametrize("elbo", [Trace_ELBO, TraceMeanField_ELBO])
def test_svi_lowers_the_loss(x: torch.Tensor, elbo: type) -> None:
    vae = small_vae()
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), elbo())
    losses = [svi.step(x) for _ in range(150)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_svi_trains_its_own_model_only(x: torch.Tensor) -> None:
    # Pyro's parameter store is global: a second model must not get the first one's parameters.
    first, second = small_vae(seed=1), small_vae(seed=2)
    for vae in (first, second):
        before = [p.detach().clone() for p in vae.parameters()]
        SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), Trace_ELBO()).step(x)
        changed = [not torch.equal(p, q) for p, q in zip(vae.parameters(), before, strict=True)]
        assert all(changed)


@pytest.mark.parametrize("prior", PRIORS)
def test_trace_has_the_documented_sites(x: torch.Tensor, prior: str) -> None:
    vae = small_vae(prior)
    trace = poutine.trace(poutine.condition(vae.model, data={"z": torch.zeros(40, 3)})).get_trace(x)
    trace.compute_log_prob()
    assert trace.nodes["x"]["log_prob"].shape == (40,)
    assert trace.nodes["z"]["log_prob"].shape == (40,)
    expected = vae.prior_law().log_prob(torch.zeros(3)).expand(40)
    torch.testing.assert_close(trace.nodes["z"]["log_prob"], expected)


def test_predictive_from_prior_and_posterior(x: torch.Tensor) -> None:
    vae = small_vae()
    generated = Predictive(vae.model, num_samples=5)(None, 7)
    assert generated["x"].shape == (5, 7, 1, 8, 8)
    codes = Predictive(vae.guide, num_samples=5)(x)
    assert codes["z"].shape == (5, 40, 3)
    again = Predictive(vae.model, guide=vae.guide, num_samples=5, parallel=False)(x)
    assert again["x"].shape == (5, 40, 1, 8, 8)
    vectorised = Predictive(vae.model, num_samples=5, parallel=True)(None, 7)
    assert vectorised["x"].shape == (5, 7, 1, 8, 8)


def test_nuts_agrees_with_importance_sampling(x: torch.Tensor) -> None:
    vae = small_vae(latent_dim=2)
    datum = x[:1]
    # A decoder that matters, so that the posterior is not the prior.
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(3)
    mcmc = MCMC(NUTS(vae.model), num_samples=600, warmup_steps=200, disable_progbar=True)
    mcmc.run(datum)
    drawn = mcmc.get_samples()["z"].squeeze(1)
    with torch.no_grad():
        z = vae.prior_law().sample((200_000,))
        weights = vae.decode(z).log_prob(datum).softmax(0)
        mean = weights @ z
        sd = (weights @ (z - mean) ** 2).sqrt()
    assert (mean.norm() > 0.1).item()
    # 600 draws with an ESS of at least 150: six standard errors.
    assert ((drawn.mean(0) - mean).abs() < 6 * sd / 150**0.5).all()


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = small_vae(seed=5)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    again, other = small_vae(seed=5), small_vae(seed=6)
    torch.manual_seed(1)
    small_vae(seed=5)
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_model_works_with_a_users_own_guide(x: torch.Tensor) -> None:
    vae = small_vae()
    guide = pyro.infer.autoguide.AutoNormal(poutine.block(vae.model, expose=["z"]))
    svi = SVI(vae.model, guide, Adam({"lr": 1e-2}), Trace_ELBO())
    losses = [svi.step(x) for _ in range(100)]
    assert losses[-1] < losses[0]
