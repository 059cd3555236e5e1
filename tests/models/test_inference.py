"""Pyro's own inference on every registered prior, posterior and likelihood.

What is registered is tested. The numbers of some are then compared with quadrature: with one
coordinate, on the line or the circle, the evidence and the posterior are sums over a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pytest
import torch
from families import small
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Importance, Predictive, Trace_ELBO, autoguide
from pyro.infer.autoguide import initialization
from pyro.optim import Adam
from torch import Tensor
from torch.distributions import biject_to

from pyrovae.core.errors import PyrovaeError
from pyrovae.distributions.sphere import HypersphericalUniform
from pyrovae.distributions.von_mises_fisher import VonMisesFisher
from pyrovae.measures.posterior.density import Density
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.spaces import DISCRETE
from pyrovae.models.vae import VAE, build_vae

WIDTH = 4
#: A posterior, and with it a prior, of the sphere.
ON_SPHERE = ("hyperspherical_uniform", "von_mises_fisher")
#: Of labels, Pyro's samplers and automatic guides know no coordinates: tests/models/discrete.
REAL = [name for name in PRIORS if PRIORS[name].space not in DISCRETE]
CASES = [
    *(("prior", name) for name in REAL),
    *(("posterior", name) for name in POSTERIORS if POSTERIORS[name].space not in DISCRETE),
    *(("likelihood", name) for name in LIKELIHOODS),
]
AUTOGUIDES = {
    "AutoNormal": autoguide.AutoNormal,
    "AutoDelta": autoguide.AutoDelta,
    "AutoMultivariateNormal": autoguide.AutoMultivariateNormal,
    "AutoLowRankMultivariateNormal": autoguide.AutoLowRankMultivariateNormal,
    "AutoLaplaceApproximation": autoguide.AutoLaplaceApproximation,
    **{
        name: partial(autoguide.AutoNormal, init_loc_fn=getattr(initialization, name))
        for name in (
            "init_to_median",
            "init_to_sample",
            "init_to_feasible",
            "init_to_mean",
            "init_to_uniform",
        )
    },
}
ELBOS = ("Trace_ELBO", "TraceMeanField_ELBO", "TraceGraph_ELBO", "TraceEnum_ELBO")


def vae_of(kind: str, name: str, *, latent_dim: int = 2) -> tuple[VAE, Tensor]:
    """Return an untrained VAE with the entry, and three data in [0, 1], or counts."""
    x = torch.rand(3, WIDTH)
    if name in ("poisson", "negative_binomial"):
        x = (5 * x).floor()
    if name in ("pixelcnn", "recurrent", "attention"):
        x = x.round()
    parts = {"prior": "standard_normal", "posterior": "mean_field_normal", "likelihood": "gaussian"}
    parts[kind] = name
    if "sphere" in (PRIORS[parts["prior"]].space, POSTERIORS[parts["posterior"]].space):
        parts |= {"prior": ON_SPHERE[0]} if kind == "posterior" else {"posterior": ON_SPHERE[1]}
    entries = {part: small(entry) for part, entry in parts.items()}
    if name == "vampprior":
        entries["prior"]["pseudo_inputs"] = 3
    net = {"name": "mlp", "hidden": [4]}
    return build_vae((WIDTH,), latent_dim, network=net, data=x, **entries), x


def fits(vae: VAE, guide: Callable[..., Any], loss: Any, x: Tensor) -> None:
    """Two steps of SVI have a finite loss and change what they train."""
    before = [p.detach().clone() for p in vae.decoder.parameters()]
    svi = SVI(vae.model, guide, Adam({"lr": 1e-2}), loss)
    assert all(math.isfinite(svi.step(x)) for _ in range(2))
    assert not torch.equal(before[0], next(vae.decoder.parameters()))


@pytest.mark.parametrize("name", REAL)
def test_nuts_takes_every_prior(name: str) -> None:
    vae, x = vae_of("prior", name)
    mcmc = MCMC(NUTS(vae.model), num_samples=2, warmup_steps=2, disable_progbar=True)
    mcmc.run(x)
    z = mcmc.get_samples()["z"]
    assert z.shape == (2, 3, 2)
    assert vae.prior_law().support.check(z).all()


@pytest.mark.parametrize("name", REAL)
def test_autoguides_take_every_prior(name: str) -> None:
    for family in AUTOGUIDES.values():
        pyro.clear_param_store()
        vae, x = vae_of("prior", name)
        fits(vae, family(vae.model), Trace_ELBO(), x)
    guide = autoguide.AutoGuideList(vae.model)
    guide.append(autoguide.AutoNormal(poutine.block(vae.model, expose=["z"])))
    if vae.prior.global_sites:
        hidden = poutine.block(vae.model, expose=list(vae.prior.global_sites))
        guide.append(autoguide.AutoDelta(hidden))
    fits(vae, guide, Trace_ELBO(), x)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_pyros_bounds_take_every_family(kind: str, name: str) -> None:
    losses = [getattr(pyro.infer, elbo)() for elbo in ELBOS]
    losses.append(pyro.infer.RenyiELBO(alpha=0.5, num_particles=2))
    losses.append(
        pyro.infer.RenyiELBO(
            alpha=0, num_particles=2, vectorize_particles=True, max_plate_nesting=1
        )
    )
    if vae_of(kind, name)[0].decode(torch.zeros(1, 2)).has_rsample:
        # Of draws of x, so that the decoder has a gradient only where they have one.
        losses.append(pyro.infer.EnergyDistance(num_particles=2))
    for loss in losses:
        pyro.clear_param_store()
        vae, x = vae_of(kind, name)
        fits(vae, vae.guide, loss, x)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_pyros_jit_bounds_take_every_family_or_say_why_not(kind: str, name: str) -> None:
    for elbo in ELBOS:
        pyro.clear_param_store()
        vae, x = vae_of(kind, name)
        loss = getattr(pyro.infer, f"Jit{elbo}")(ignore_jit_warnings=True)
        if vae.posterior.needs_model:
            with pytest.raises(PyrovaeError, match=rf"'{name}'.*Trace_ELBO$"):
                fits(vae, vae.guide, loss, x)
        else:
            fits(vae, vae.guide, loss, x)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_predictive_and_importance_take_every_family(kind: str, name: str) -> None:
    vae, x = vae_of(kind, name)
    for parallel in (False, True):
        drawn = Predictive(vae.model, num_samples=2, parallel=parallel)(None, 3)
        assert drawn["x"].shape == (2, 3, WIDTH)
        codes = Predictive(vae.guide, num_samples=2, parallel=parallel)(x)
        assert codes["z"].shape == (2, 3, 2)
    posterior = Importance(vae.model, vae.guide, num_samples=2).run(x)
    assert posterior.get_log_normalizer().isfinite()


def test_a_guide_of_ones_own_leaves_no_part_of_the_model_untrained() -> None:
    # The prior is made of the encoder, which the usual guide announces.
    vae, x = vae_of("prior", "vampprior")
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    fits(vae, autoguide.AutoNormal(vae.model), Trace_ELBO(), x)
    assert all(not torch.equal(p, before[name]) for name, p in vae.named_parameters())


def test_jit_nuts_takes_a_frozen_model() -> None:
    vae, x = vae_of("prior", "gaussian_mixture")
    kernel = NUTS(vae.requires_grad_(False).model, jit_compile=True, ignore_jit_warnings=True)
    MCMC(kernel, num_samples=2, warmup_steps=2, disable_progbar=True).run(x)


# --- against quadrature --------------------------------------------------------------------------

#: Priors of one coordinate: a mixture of each kind, and the circle.
ONE_COORDINATE = ("gaussian_mixture", "spike_slab", "vampprior", "hyperspherical_uniform")


def grid(space: str, points: int = 4000) -> tuple[Tensor, float]:
    """Return points of the line or the circle, and the log of what each stands for."""
    if space == "sphere":
        angle = torch.arange(points) * (2 * math.pi / points)
        return torch.stack([angle.cos(), angle.sin()], -1), math.log(2 * math.pi / points)
    z = torch.linspace(-10, 10, points)
    return z.unsqueeze(-1), math.log(20 / (points - 1))


def one_coordinate(prior: str) -> tuple[VAE, Tensor, Tensor, Tensor, float]:
    """Return a VAE with a decoder that matters, a datum, a grid, its log-weights, log p(x)."""
    sphere = PRIORS[prior].space == "sphere"
    vae, x = vae_of("prior", prior, latent_dim=2 if sphere else 1)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(2)
    vae.requires_grad_(False)
    z, log_volume = grid(vae.space)
    log_joint = vae.prior_law().log_prob(z) + vae.decode(z).log_prob(x[:1]) + log_volume
    evidence = float(log_joint.logsumexp(0))
    return vae, x[:1], z, log_joint - evidence, evidence


@pytest.mark.parametrize("prior", ONE_COORDINATE)
def test_nuts_draws_from_the_posterior(prior: str) -> None:
    vae, x, z, log_weights, _ = one_coordinate(prior)
    mcmc = MCMC(NUTS(vae.model), num_samples=200, warmup_steps=80, disable_progbar=True)
    mcmc.run(x)
    drawn = mcmc.get_samples()["z"].squeeze(1)
    weights = log_weights.exp()
    for moment in (z, z**2):
        mean = weights @ moment
        sd = (weights @ (moment - mean) ** 2).sqrt()
        found = (drawn if moment is z else drawn**2).mean(0)
        # An ESS of at least 50: five standard errors.
        assert ((found - mean).abs() < 5 * sd / 50**0.5).all()


@pytest.mark.parametrize("prior", ONE_COORDINATE)
def test_bounds_and_evidence_agree_with_quadrature(prior: str) -> None:
    vae, x, _, _, evidence = one_coordinate(prior)
    guide = autoguide.AutoNormal(vae.model)
    svi = SVI(vae.model, guide, Adam({"lr": 3e-2}), Trace_ELBO())
    for _ in range(100):
        svi.step(x)
    with torch.no_grad():
        bounds = torch.tensor([-svi.evaluate_loss(x) for _ in range(100)])
        weights = Importance(vae.model, num_samples=1000).run(x).log_weights
    error = bounds.std() / len(bounds) ** 0.5
    assert evidence - 3 < bounds.mean() < evidence + 4 * error
    # Log p(x|z) of draws from the prior: a mean with a known error.
    ratio = (torch.stack(weights) - evidence).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / len(ratio) ** 0.5


@pytest.mark.parametrize("concentration", [0.0, 5.0])
def test_coordinates_of_the_sphere_have_a_density(concentration: float) -> None:
    law = VonMisesFisher(torch.tensor([0.6, 0.8]), torch.tensor(concentration))
    to_sphere = biject_to(law.support)
    axis = torch.linspace(-7, 7, 400)
    u = torch.cartesian_prod(axis, axis)
    z = to_sphere(u)
    log_density = law.log_prob(z) + to_sphere.log_abs_det_jacobian(u, z)
    mass = log_density.exp() * (axis[1] - axis[0]) ** 2
    assert mass.sum().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(mass @ z, law.mean, atol=2e-3, rtol=0)
    torch.testing.assert_close(to_sphere(to_sphere.inv(z)), z)


def test_a_diagnosis_moves_in_the_same_coordinates() -> None:
    vae, x = vae_of("prior", "hyperspherical_uniform")
    u = torch.randn(3, 2)
    to_sphere = biject_to(HypersphericalUniform(u).support)
    z = to_sphere(u)
    expected = vae.prior_law().log_prob(z) + to_sphere.log_abs_det_jacobian(u, z)
    torch.testing.assert_close(Density(vae, x)(u).log_prior, expected)
    torch.testing.assert_close(expected, torch.distributions.Normal(0, 1).log_prob(u).sum(-1))
