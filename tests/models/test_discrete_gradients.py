"""More ways past draws of labels: VIMCO, a running baseline, the bound of relaxed models."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

import pyrovae
from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.core.measuring import in_mode
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions.labels import Concrete, Label, Switch
from pyrovae.models.posteriors.discrete import RunningMean
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.objectives.vimco import learning_signals
from pyrovae.study.plan.compatibility import objective_conflict
from tests.models.test_discrete import FAMILIES, data, estimated, exact_elbo, gradients, small


def _codes(vae: VAE) -> Tensor:
    each = [torch.arange(float(k)) for k in vae.classes or ()]
    return torch.cartesian_prod(*each).reshape(-1, vae.latent_dim)


def _exact_bound(vae: VAE, x: Tensor, k: int) -> Tensor:
    """E log (1/K) sum_k w_k of each datum, ``(n,)``, by all K-tuples of codes."""
    z = _codes(vae).unsqueeze(1)
    log_q = vae.encode(x).log_prob(z)
    log_w = vae.decode(z.expand(-1, len(x), -1)).log_prob(x) + vae.prior_law().log_prob(z) - log_q
    total = torch.zeros(len(x))
    for chosen in itertools.product(range(len(z)), repeat=k):
        bound = log_w[list(chosen)].logsumexp(0) - math.log(k)
        total = total + log_q[list(chosen)].sum(0).exp() * bound
    return total


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("particles", [2, 3])
def test_vimco_has_the_gradient_of_the_sum_over_all_draws(name: str, particles: int) -> None:
    vae, x = small(name, gradient="score", learned=name == "categorical"), data()
    exact = -_exact_bound(vae, x, particles).mean()
    objective, grads, losses = OBJECTIVES.create("vimco", particles=particles), [], []
    with seeded(4), OwnParams():
        for _ in range(12):
            loss, terms = objective(vae, x.repeat(400, 1), {}, 1)
            assert terms.distortion.shape == (particles, 1200)
            grads.append(gradients(vae, loss))
            losses.append(loss.detach())
    found, spread = torch.stack(grads), torch.stack(losses)
    error = found.std(0) / len(found) ** 0.5
    wanted = gradients(vae, exact)
    assert ((found.mean(0) - wanted).abs() < 6.5 * error + 1e-6).all()
    assert (found.mean(0) - wanted).norm() < 0.05 * wanted.norm()
    assert (spread.mean() - exact.detach()).abs() < 5 * spread.std() / len(spread) ** 0.5


def test_learning_signals_by_a_plain_loop() -> None:
    with seeded(0):
        log_w = torch.randn(4, 5, dtype=torch.float64)
    found = learning_signals(log_w)
    for k, i in itertools.product(range(4), range(5)):
        w = log_w[:, i].exp()
        others = [float(w[j]) for j in range(4) if j != k]
        geometric = math.prod(others) ** (1 / 3)
        expected = math.log(float(w.sum()) / 4) - math.log((sum(others) + geometric) / 4)
        assert float(found[k, i]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("draws", [1, 2])
def test_a_running_baseline_leaves_the_gradient_where_it_is_and_takes_noise_away(
    draws: int,
) -> None:
    vae, x = small("categorical", gradient="score", baseline="running", draws=draws), data()
    assert vae.draws == draws
    exact = gradients(vae, -exact_elbo(vae, x).mean())
    noise = []
    for known in (0.0, float(-exact_elbo(vae, x).detach().mean())):
        baseline: Any = vae.posterior.baseline
        baseline.total.fill_(known)
        baseline.weight.fill_(1.0)
        with in_mode(vae, training=False):
            found, _ = estimated(vae, x)
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - exact).abs() < 6.5 * error + 1e-6).all()
        noise.append(float(found.var(0).sum()))
    assert noise[1] < 0.5 * noise[0]


def test_a_running_mean_is_that_of_what_was_before() -> None:
    mean = RunningMean()
    assert [float(mean(torch.tensor([v]))) for v in (3.0, 3.0, 7.0)] == pytest.approx([0, 3, 3])
    # Weights 0.1, 0.09, 0.081 of the last, the one before, the first.
    expected = (0.1 * 7 + 0.09 * 3 + 0.081 * 3) / 0.271
    mean.eval()
    assert float(mean(torch.tensor([1.0]))) == pytest.approx(expected, rel=1e-5)
    assert float(mean.weight) == pytest.approx(0.271, rel=1e-5)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_step_carries_the_running_baseline(compiled: bool) -> None:
    vae = small("bernoulli", gradient="score", baseline="running", draws=1)
    vae = pyrovae.fit(vae, data(40), steps=5, batch_size=8, progress=False, compiled=compiled)
    baseline: Any = vae.posterior.baseline
    assert float(baseline.weight) == pytest.approx(1 - 0.9**5, rel=1e-5)
    assert 2 < float(baseline.total / baseline.weight) < 8  # five pixels at about log 2 each


@pytest.mark.parametrize("temperature", [0.4, 1.5])
def test_concrete_densities_are_those_of_the_paper_and_weigh_each_other(temperature: float) -> None:
    t = torch.tensor(temperature, dtype=torch.float64)
    with seeded(0):
        q, p = (Label(logits=torch.randn(1, 3, dtype=torch.float64)) for _ in range(2))
        a, b = (Switch(logits=torch.randn(1, dtype=torch.float64)) for _ in range(2))
        y, v = Concrete(q, t).rsample((200_000,)), Concrete(a, t).rsample((200_000,))
    # Maddison et al., eq. 10, of points x of the simplex; d x = prod_k x_k d y.
    alpha, x = q.logits.exp(), y[:5].exp()
    density = 2 * t**2 * (alpha * x ** (-t - 1)).prod(-1) / (alpha * x**-t).sum(-1) ** 3
    torch.testing.assert_close(Concrete(q, t).log_prob(y[:5]), density.log() + y[:5].sum(-1))
    # Eq. 21 of a switch, x between 0 and 1: d x = x (1 - x) d y.
    alpha, x = a.logits.exp(), torch.sigmoid(v[:5])
    odds = alpha * x ** (-t - 1) * (1 - x) ** (-t - 1) / (alpha * x**-t + (1 - x) ** -t) ** 2
    inner = (logsigmoid(v[:5]) + logsigmoid(-v[:5])).squeeze(-1)
    expected = (t * odds).log().squeeze(-1) + inner
    torch.testing.assert_close(Concrete(a, t).log_prob(v[:5]), expected)
    for one, other, draws in ((q, p, y), (a, b, v)):
        weight = (Concrete(other, t).log_prob(draws) - Concrete(one, t).log_prob(draws)).exp()
        assert abs(float(weight.mean()) - 1) < 5 * float(weight.std()) / len(draws) ** 0.5


def test_relaxed_switches_have_the_bound_of_the_relaxed_model() -> None:
    """Value, gradient and what it bounds by quadrature over the one relaxed switch."""
    parts: dict[str, Any] = {"network": {"name": "mlp", "hidden": [6]}, "seed": 3}
    vae = pyrovae.build(
        (5,),
        latent_dim=1,
        prior={"name": "bernoulli", "probability": 0.3},
        posterior={"name": "bernoulli", "gradient": "relaxed", "temperature": 0.5},
        **parts,
    )
    assert isinstance(vae, VAE)
    with seeded(2), torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.7 * torch.randn_like(parameter))
    x, step = data(), 0.01
    y = torch.arange(-60, 60, step).reshape(-1, 1, 1)
    q = vae.posterior.in_training(vae.encode(x))
    log_q = q.log_prob(y)
    log_p = vae.posterior.in_training(vae.prior_law()).log_prob(y)
    log_joint = log_p + vae.likelihood(vae.decoder(torch.sigmoid(y))).log_prob(x)
    bound = (log_q.exp() * (log_joint - log_q)).sum(0) * step
    log_px = log_joint.logsumexp(0) + math.log(step)
    assert (log_px > bound).all()
    exact = gradients(vae, -bound.mean())
    found, losses = estimated(vae, x)
    assert (losses.mean() + bound.mean()).abs() < 5 * losses.std() / len(losses) ** 0.5
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() < 6.5 * error + 1e-5).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_relaxed_models_are_measured_on_labels(name: str) -> None:
    vae = small(name, gradient="relaxed")
    vae = pyrovae.fit(vae, data(40), steps=20, batch_size=8, progress=False)
    found = pyrovae.collapse(vae, data(40), points=40)
    posterior = pyrovae.measures.collapse.enumerate_posterior(vae, data(40))
    assert found.scores["elbo"] == pytest.approx(float(posterior.elbo.mean()), abs=0.3)


def test_what_the_gradients_do_not_fit_is_said() -> None:
    with pytest.raises(PyrovaeError, match="compared with each other"):
        small("categorical", gradient="score", draws=1)
    vae, x = small("categorical", gradient="concrete"), data()
    with pytest.raises(ConfigError, match="needs draws of labels"):
        OBJECTIVES.create("vimco")(vae, x, {}, 1)
    parameters = {"name": "vimco", **OBJECTIVES.resolve("vimco", {})}
    scored = {"name": "categorical", "gradient": "score"}
    assert objective_conflict(parameters, posterior=scored) is None
    for posterior in ({"name": "categorical", "gradient": "concrete"}, {"name": "laplace"}):
        told = objective_conflict(parameters, posterior=posterior)
        assert told is not None
        assert "gradient: score" in told
    free = {"name": "free_bits", **OBJECTIVES.resolve("free_bits", {})}
    relaxed = {"name": "categorical", "gradient": "relaxed"}
    assert "'per: all' takes any" in str(objective_conflict(free, posterior=relaxed))
    assert objective_conflict(free | {"per": "all"}, posterior=relaxed) is None
