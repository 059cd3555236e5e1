"""Encoders and decoders made elsewhere, as models."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from families import small_images, small_vae
from torch import Tensor, nn
from torch.distributions import Bernoulli, Cauchy, Independent, MultivariateNormal, Normal

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.datasets.base import as_float
from pyrovae.measures.collapse.measure import CollapseSettings, measure_collapse
from pyrovae.measures.posterior.reference import sample_posterior
from pyrovae.models.priors import Prior
from pyrovae.models.vae import VAE
from pyrovae.models.wrapped import Wrapped
from pyrovae.shrink.pruning import conflict

FLAT, D = 6, 2


class Plain(nn.Module):
    """A VAE as tutorials have it, in training mode, with what a forward pass changes."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(FLAT, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
        self.mu, self.logvar = nn.Linear(5, D), nn.Linear(5, D)
        self.decoder = nn.Sequential(nn.Linear(D, 7), nn.Tanh(), nn.Linear(7, FLAT))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.hidden(x)
        return self.mu(h), self.logvar(h)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def probabilities(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()


@pytest.fixture
def net() -> Plain:
    torch.manual_seed(0)
    return Plain()


def data(n: int = 40) -> Tensor:
    return (torch.rand(n, FLAT, generator=torch.Generator().manual_seed(1)) < 0.5).float()


def state(net: nn.Module) -> dict[str, Any]:
    modes = {name: module.training for name, module in net.named_modules()}
    grads = {name: p.requires_grad for name, p in net.named_parameters()}
    return {k: v.tolist() for k, v in net.state_dict().items()} | {"modes": modes, "grads": grads}


SETTINGS = CollapseSettings(information_points=20, sensitivity_points=8)


def table(vae: Any, x: Tensor) -> Any:
    return measure_collapse(vae, x, SETTINGS, samples=3, seed=0).table


def rewrapped(vae: VAE) -> Wrapped:
    def law(x: Tensor) -> Any:
        return vae.posterior(vae.encoder(x))

    like = {"name": "bernoulli"}
    return pyrovae.wrap(law, vae.decoder, vae.prior, likelihood=like, event_shape=(1, 8, 8))


def test_the_parts_of_a_vae_measure_the_same() -> None:
    vae, x = small_vae("student_t"), as_float(small_images())
    wrapped = rewrapped(vae)
    assert table(wrapped, x).equals(table(vae, x))
    pyro.set_rng_seed(0)
    own = pyro.poutine.trace(vae.model).get_trace(x).log_prob_sum()
    pyro.set_rng_seed(0)
    assert pyro.poutine.trace(wrapped.model).get_trace(x).log_prob_sum() == own


def test_conventions_give_the_same_law(net: Plain) -> None:
    net.eval()
    x, (mu, logvar) = data(), net.encode(data())
    two = nn.Sequential(net.hidden, nn.Linear(5, 2 * D))
    with torch.no_grad():
        two[1].weight.copy_(torch.cat([net.mu.weight, net.logvar.weight]))
        two[1].bias.copy_(torch.cat([net.mu.bias, net.logvar.bias]))
    forms: list[tuple[Any, dict[str, Any]]] = [
        (net.encode, {}),
        (two, {}),
        (lambda x: (net.encode(x)[0], net.encode(x)[1] / 2), {"spread": "log_scale"}),
        (lambda x: (net.encode(x)[0], (net.encode(x)[1] / 2).exp()), {"spread": "scale"}),
        (lambda x: Normal(net.encode(x)[0], (net.encode(x)[1] / 2).exp()), {}),
        (lambda x: Independent(Normal(net.encode(x)[0], (net.encode(x)[1] / 2).exp()), 1), {}),
    ]
    for encode, given in forms:
        vae = pyrovae.wrap(encode, net.decode, latent_dim=D, likelihood="bernoulli", **given)
        q = vae.encode(x)
        assert (q.batch_shape, q.event_shape) == ((len(x),), (D,))
        torch.testing.assert_close(q.mean, mu)
        torch.testing.assert_close(q.variance, logvar.exp())
    z = torch.randn(3, 4, D)
    logits = net.decoder(z)
    for decode, like in (
        (net.decode, "bernoulli"),
        (lambda z: Bernoulli(logits=net.decode(z)), None),
        (lambda z: Bernoulli(probs=net.probabilities(z)), None),
        (partial(Plain.decode, net), {"name": "bernoulli"}),
    ):
        vae = pyrovae.wrap(net.encode, decode, latent_dim=D, likelihood=like)
        law = vae.decode(z)
        assert (law.batch_shape, law.event_shape) == ((3, 4), (FLAT,))
        torch.testing.assert_close(law.mean, logits.sigmoid())
        x = data(12).reshape(3, 4, FLAT)
        expected = Bernoulli(logits=logits).log_prob(x).sum(-1)
        torch.testing.assert_close(law.log_prob(x), expected)


@pytest.mark.parametrize("closed_over", [False, True])
def test_nothing_of_the_original_changes(net: Plain, closed_over: bool) -> None:
    before, generator = state(net), torch.get_rng_state()
    encode: Any = (lambda x: net.encode(x)) if closed_over else net.encode
    vae = pyrovae.wrap(encode, net.decode, latent_dim=D, likelihood="bernoulli")
    shown = table(vae, data())
    assert shown["kl"].gt(0).all()
    reference = sample_posterior(vae, data(2), chains=2, warmup=20, draws=10, seed=0)
    assert reference is not None
    assert torch.equal(torch.get_rng_state(), generator)
    assert not pyro.get_param_store().keys()
    if not closed_over:
        pyrovae.fit(vae, data(), steps=3, records=1, progress=False)
    assert state(net) == before


def test_training_goes_on(net: Plain) -> None:
    vae = pyrovae.wrap(net.encode, net.decode, latent_dim=D, likelihood="bernoulli")
    guide = {n for n, _ in vae.named_parameters() if vae.is_guide_parameter(n)}
    assert {n.split(".")[-2] for n in guide} == {"0", "1", "mu", "logvar"}
    assert not any("decoder" in n for n in guide)
    start = {n: p.clone() for n, p in vae.named_parameters()}
    pyrovae.fit(vae, data(), steps=5, records=1, progress=False)
    assert all(not torch.equal(p, start[n]) for n, p in vae.named_parameters())


def test_priors_of_every_form(net: Plain) -> None:
    make = partial(pyrovae.wrap, net.encode, net.decode, likelihood="bernoulli")
    covariance = torch.tensor([[1.0, 0.5], [0.5, 2.0]])
    z = torch.randn(5, D)
    for prior, expected in (
        (Normal(torch.zeros(D), 2.0), Independent(Normal(torch.zeros(D), 2.0), 1)),
        (Independent(Cauchy(torch.zeros(D), 1.0), 1), Independent(Cauchy(torch.zeros(D), 1.0), 1)),
        (MultivariateNormal(torch.zeros(D), covariance),) * 2,
    ):
        law = make(prior).prior_law()
        torch.testing.assert_close(law.log_prob(z), expected.log_prob(z))
    assert make("laplace", latent_dim=D).prior_law().event_shape == (D,)
    hierarchical = make({"name": "ard"}, latent_dim=D)
    assert isinstance(hierarchical.prior, Prior)
    trace = pyro.poutine.trace(hierarchical.model).get_trace(data())
    assert set(hierarchical.prior.global_sites) <= set(trace.nodes)


def test_surgery_is_refused_by_name(net: Plain) -> None:
    vae = pyrovae.wrap(net.encode, net.decode, latent_dim=D, likelihood="bernoulli")
    told = conflict(vae)
    assert told is not None
    assert told.startswith("Wrapped is not made of this package's networks")
    assert np.isfinite(table(pyrovae.wrap(
        net.encode, net.decoder, latent_dim=D, likelihood="bernoulli"), data())["weight_norm"]
    ).all()  # fmt: skip


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"latent_dim": None}, "latent_dim: is not told by the prior"),
        ({"likelihood": None}, "decode: gives a tensor: name the 'likelihood'"),
        ({"likelihood": "bernouli"}, "likelihood: unknown .*did you mean 'bernoulli'"),
        ({"prior": "laplac"}, "prior: unknown prior 'laplac'; did you mean 'laplace'"),
        ({"prior": Normal(torch.zeros(3, 2), 1.0)}, "prior: must be a law of one code"),
        ({"latent_dim": 3}, "decode: fails on shape .2, 3.: RuntimeError"),
        ({"prior": Normal(torch.zeros(3), 1.0), "latent_dim": 2}, "prior: has latent_dim 3"),
        ({"event_shape": (7,)}, "decode: gives .6,. for one code; likelihood reads .1, 7."),
        ({"encode": 3}, "encode: must be a function or a module, got int"),
        ({"encode": lambda x: x}, r"encode: gives codes \(2, 3\) for 2 observations"),
        ({"encode": lambda x: (x, x, x)}, "encode: must give .* got 3 things"),
        ({"encode": lambda x: "a"}, "encode: must give .* got 1 things"),
        ({"encode": lambda x: (x[:, :2], x[:, :2]), "spread": "scale"}, "not above 0"),
        ({"encode": lambda x: 1 / 0}, "encode: fails on shape .2, 6.: ZeroDivisionError"),
        ({"decode": lambda z: "a"}, "decode: must give a distribution or a tensor, got str"),
        ({"decode": lambda z: z.sum()}, r"decode: gives shape \(\) for 2 codes"),
        ({"spread": "variance"}, "spread: must be logvar"),
        ({"posterior": "iaf"}, "posterior: must be a trained instance"),
    ],
)
def test_what_does_not_go_together_is_told_in_a_line(
    net: Plain, given: dict[str, Any], told: str
) -> None:
    usual = {"encode": net.encode, "decode": net.decode, "latent_dim": D, "likelihood": "bernoulli"}
    with pytest.raises(ConfigError, match=told) as raised:
        pyrovae.wrap(**{**usual, **given})
    assert "\n" not in str(raised.value)
