"""Codes of labels: laws, gradients against enumeration, bounds against the exact sum."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS, SVI, Predictive
from pyro.optim import Adam
from torch import Tensor
from torch.autograd import gradcheck

import pyrovae
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl, marginals
from pyrovae.distributions.labels import Indicators, Label, Switch
from pyrovae.measures.collapse import enumerate_posterior, estimate_bound
from pyrovae.measures.posterior.density import Density
from pyrovae.models.sites import terms, trace_pair
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram

FAMILIES: dict[str, dict[str, Any]] = {
    "categorical": {"name": "categorical", "classes": 3},
    "bernoulli": {"name": "bernoulli"},
}
UNITS = 2


def small(name: str, *, learned: bool = False, **posterior: Any) -> VAE:
    """Return a VAE of two discrete units and five binary pixels, off its start."""
    prior = FAMILIES[name] | ({"learned": True} if learned else {})
    vae = build_vae(
        (5,),
        UNITS,
        network={"name": "mlp", "hidden": [6]},
        prior=prior,
        posterior=FAMILIES[name] | posterior,
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


def exact_elbo(vae: VAE, x: Tensor) -> Tensor:
    """Return E_q[log p(x, z) - log q(z|x)] of each datum, by a plain loop over all codes."""
    k = 3 if vae.space == "labels" else 2
    q, p = vae.encode(x), vae.prior_law()
    total = torch.zeros(len(x))
    for labels in itertools.product(range(k), repeat=UNITS):
        z = torch.tensor(labels, dtype=torch.float).expand(len(x), -1)
        log_q = q.log_prob(z)
        total = total + log_q.exp() * (vae.decode(z).log_prob(x) + p.log_prob(z) - log_q)
    return total


def gradients(vae: VAE, loss: Tensor) -> Tensor:
    wanted = [p for p in vae.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).flatten()
            for p, g in zip(wanted, found, strict=True)
        ]
    )


def estimated(vae: VAE, x: Tensor, name: str = "elbo", repeats: int = 12) -> tuple[Tensor, Tensor]:
    """Return gradients, ``(repeats, m)``, and losses, each of 400 copies of the data."""
    objective = OBJECTIVES.create(name)
    hyper = {k: torch.tensor(v) for k, v in objective.hyperparameters(0).items()}
    many = x.repeat(400, 1)
    grads, losses = [], []
    with seeded(4), OwnParams():
        for _ in range(repeats):
            loss, _ = objective(vae, many, hyper, 1)
            grads.append(gradients(vae, loss))
            losses.append(loss.detach())
    return torch.stack(grads), torch.stack(losses)


@pytest.mark.parametrize("name", FAMILIES)
def test_score_function_gradients_are_those_of_the_exact_sum(name: str) -> None:
    vae, x = small(name, gradient="score", learned=name == "categorical"), data()
    exact = gradients(vae, -exact_elbo(vae, x).mean())
    found, losses = estimated(vae, x)
    error = found.std(0) / len(found) ** 0.5
    off = (found.mean(0) - exact).abs()
    # Student's t of 11 degrees of freedom: below 6.5 for all of some 90 numbers, but once in 300.
    assert (off < 6.5 * error + 1e-6).all()
    assert off.norm() < 0.03 * exact.norm()
    bound = -exact_elbo(vae, x).mean().detach()
    assert (losses.mean() - bound).abs() < 5 * losses.std() / len(losses) ** 0.5


def test_leave_one_out_takes_variance_away() -> None:
    """Against the same gradient without a baseline, from as many draws."""
    vae, x = small("categorical", gradient="score"), data()
    with_baseline, _ = estimated(vae, x, repeats=8)
    many = x.repeat(400, 1)
    plain = []
    with seeded(4), OwnParams():
        for _ in range(8):
            found = terms(*trace_pair(vae.model, vae.guide, many, samples=vae.draws))
            log_q = found.q.log_prob(found.z)
            loss = found.distortion + found.distortion.detach() * (log_q - log_q.detach())
            plain.append(gradients(vae, loss.mean() + found.rate.mean()))
    assert with_baseline.var(0).sum() < 0.5 * torch.stack(plain).var(0).sum()


@pytest.mark.parametrize("name", FAMILIES)
def test_relaxed_gradients_approach_the_exact_ones_as_the_temperature_falls(name: str) -> None:
    x, off = data(), []
    for temperature in (1.0, 0.1):
        vae = small(name, gradient="concrete", temperature=temperature)
        exact = gradients(vae, -exact_elbo(vae, x).mean())
        found, _ = estimated(vae, x)
        off.append(float((found.mean(0) - exact).norm() / exact.norm()))
    assert off[1] < 0.05
    assert off[1] < 0.5 * off[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_straight_through_takes_the_loss_of_labels(name: str) -> None:
    vae, x = small(name, gradient="straight_through", temperature=0.3), data()
    exact = gradients(vae, -exact_elbo(vae, x).mean())
    found, losses = estimated(vae, x)
    bound = -exact_elbo(vae, x).mean().detach()
    assert (losses.mean() - bound).abs() < 5 * losses.std() / len(losses) ** 0.5
    assert torch.nn.functional.cosine_similarity(found.mean(0), exact, dim=0) > 0.98


@pytest.mark.parametrize("objective", ["beta", "capacity", "free_bits", "delta"])
def test_objectives_of_means_have_score_function_gradients_too(objective: str) -> None:
    vae, x = small("categorical", gradient="score"), data()
    made = OBJECTIVES.create(objective)
    hyper = {k: torch.tensor(v) for k, v in made.hyperparameters(0).items()}
    with OwnParams():
        q, p = vae.encode(x), vae.prior_law()
        rates = analytic_kl(marginals(q), marginals(p))
        assert rates is not None
        rate = rates.sum(-1).mean()
        loss = {
            "beta": lambda d: d + 4 * rate,
            "capacity": lambda d: d + 1000 * rate,
            "free_bits": lambda d: d + rates.mean(0).clamp(min=0.25).sum(),
            "delta": lambda d: d + rate + 5 * (3 - rate).clamp(min=0),
        }[objective]
        distortion = -(exact_elbo(vae, x).mean() + rate)
        exact = gradients(vae, loss(distortion))
        del hyper
        found, _ = estimated(vae, x, objective)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() < 7 * error + 1e-4 * exact.abs().max()).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_bound_is_that_of_the_exact_sum(name: str) -> None:
    vae, x = small(name), data()
    with torch.no_grad():
        exact = exact_elbo(vae, x)
    found = enumerate_posterior(vae, x)
    torch.testing.assert_close(found.elbo, exact, rtol=1e-4, atol=1e-4)
    assert (found.kl >= 0).all()
    with OwnParams():
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=300, seed=0)
    torch.testing.assert_close(bound.elbo, exact, rtol=0, atol=0.25)
    # With so many draws of some nine codes, the importance-weighted bound is log p(x).
    torch.testing.assert_close(bound.log_px, found.log_px, rtol=0, atol=0.25)


def test_relaxed_draws_have_the_derivatives_of_finite_differences() -> None:
    def drawn(logits: Tensor, kind: str) -> Tensor:
        torch.manual_seed(0)
        unit = Label(logits=logits) if kind == "label" else Switch(logits=logits)
        return Indicators(unit, torch.tensor(0.7, dtype=torch.float64)).rsample()

    for kind, shape in (("label", (2, 2, 3)), ("switch", (2, 3))):
        logits = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda value, kind=kind: drawn(value, kind), (logits,))


def test_indicators_are_the_labels_law() -> None:
    units = Label(logits=torch.randn(5, 2, 3))
    law, labels = Indicators(units), units.to_event(1)
    z = labels.sample((7,))
    numbers = torch.nn.functional.one_hot(z.long(), 3).flatten(-2).float()
    torch.testing.assert_close(law.log_prob(numbers), labels.log_prob(z))
    torch.testing.assert_close(law.entropy(), labels.entropy())
    other = Indicators(Label(logits=torch.zeros(5, 2, 3)))
    uniform = 2 * math.log(3) - labels.entropy()
    torch.testing.assert_close(analytic_kl(law, other), uniform)
    hard = Indicators(units, torch.tensor(0.5), hard=True).rsample((100,))
    assert ((hard == 0) | (hard == 1)).all()
    assert (hard.unflatten(-1, (2, 3)).sum(-1) == 1).all()
    torch.manual_seed(0)
    counts = law.sample((20_000,)).mean(0).unflatten(-1, (2, 3))
    torch.testing.assert_close(counts, units.shares, rtol=0, atol=0.02)


def test_a_certain_switch_has_no_nan() -> None:
    law = Switch(logits=torch.tensor([200.0, -200.0]))
    assert law.log_prob(torch.tensor([1.0, 0.0])).eq(0).all()
    assert analytic_kl(law, Switch(logits=torch.zeros(2))).allclose(torch.tensor(math.log(2)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("gradient", ["concrete", "score"])
def test_pyros_own_inference_takes_them(name: str, gradient: str) -> None:
    x = data()
    # Pyro's mean-field bound is for reparameterised guides, and says so.
    bounds = ["Trace_ELBO", "TraceGraph_ELBO", "TraceEnum_ELBO"]
    for bound in bounds + (["TraceMeanField_ELBO"] if gradient == "concrete" else []):
        pyro.clear_param_store()
        vae = small(name, gradient=gradient)
        svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), getattr(pyro.infer, bound)())
        assert math.isfinite(svi.step(x))
    drawn = Predictive(vae.datum_model, num_samples=2)(None, 3)
    assert drawn["z"].shape == (2, 3, UNITS)
    assert Predictive(vae.model, num_samples=2, parallel=True)(None, 3)["x"].shape == (2, 3, 5)


def test_nuts_refuses_labels_by_name() -> None:
    vae, x = small("categorical"), data()
    for program in (vae.model, vae.datum_model):
        with pytest.raises(PyrovaeError, match="codes of labels have no real coordinates"):
            MCMC(NUTS(program), num_samples=1, warmup_steps=1, disable_progbar=True).run(x)
    with pytest.raises(PyrovaeError, match="NUTS is for real codes"):
        Density(vae, x)


def test_temperatures_follow_their_schedule() -> None:
    ramp = {"schedule": "linear", "from": 1.0, "to": 0.5, "steps": 10}
    program = LossProgram(small("categorical", temperature=ramp), OBJECTIVES.create("elbo"))
    (place,) = [name for name in program.hyper(0) if name.endswith("temperature")]
    assert [float(program.hyper(step)[place]) for step in (0, 5, 20)] == [1.0, 0.75, 0.5]


def test_what_does_not_fit_is_said() -> None:
    labels = {"prior": FAMILIES["categorical"], "posterior": FAMILIES["categorical"]}
    for parts, told in (
        ({"prior": "categorical"}, "labels of categories"),
        ({"posterior": "bernoulli"}, "corners of the unit cube"),
        ({**labels, "prior": "categorical"}, "units of 10 labels, and the posterior of 3"),
        ({"prior": "vampprior", "posterior": "bernoulli"}, "'vampprior'"),
        ({**labels, "posterior": {"name": "categorical", "classes": 1}}, "classes"),
    ):
        with pytest.raises(PyrovaeError, match=told):
            pyrovae.build((5,), latent_dim=2, **parts)
    vae = pyrovae.build((5,), latent_dim=2, **labels)
    with pytest.raises(PyrovaeError, match="codes of labels are not pruned"):
        pyrovae.prune(vae, data(20), criterion="variance")
    with pytest.raises(ConfigError, match="layers are real vectors"):
        pyrovae.build((5,), layers=[2, 2], prior="bernoulli", posterior="bernoulli")
    for objective in ("iwae", "beta_tcvae", "wae_mmd", "dip_i"):
        with pytest.raises(PyrovaeError, match=objective):
            pyrovae.fit(vae, data(20), steps=1, objective=objective)
