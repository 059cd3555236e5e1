"""A user's programs that are given a context: a built-in model's, and Pyro's ``cvae``."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from models.own.pyros import CVAE, cvae, halves
from pyro.infer import Trace_ELBO
from torch import Tensor, nn

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Given
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse import estimate_bound
from pyrovae.models.own import UserModel


def _conditional() -> tuple[Any, UserModel]:
    """Return a built-in model, and one of its programs."""
    vae = pyrovae.build(
        (6,), latent_dim=2, network={"name": "mlp", "hidden": [8]},
        condition={"size": 3, "prior": True}, seed=1,
    )  # fmt: skip
    with seeded(2), torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return vae, UserModel((vae.model, vae.guide), (6,), 2, condition=3)


def _data(n: int = 40) -> tuple[Tensor, Tensor]:
    with seeded(3):
        return (torch.rand(n, 6) > 0.5).float(), torch.randn(n, 3)


def test_laws_are_those_of_the_same_built_in_model() -> None:
    vae, own = _conditional()
    x, c = _data(5)
    with seeded(4):
        z = torch.randn(7, 5, 2)
    for found, right in (
        (own.encode(x, context=c), vae.encode(x, context=c)),
        (own.prior_law(context=c), vae.prior_law(context=c)),
    ):
        assert found.batch_shape == right.batch_shape == (5,)
        torch.testing.assert_close(found.log_prob(z), right.log_prob(z))
    found, right = own.decode(z, context=c), vae.decode(z, context=c)
    assert found.batch_shape == right.batch_shape == (7, 5)
    torch.testing.assert_close(found.log_prob(x), right.log_prob(x))
    whole = own.prior_law(context=c.expand(4, 5, 3))
    assert whole.batch_shape == (4, 5)
    assert own.draw_prior(5, context=c).shape == (5, 2)
    assert own.model(None, c).shape == own.datum_model(None, c).shape == (5, 6)
    with pytest.raises(ConfigError, match="is missing"):
        own.prior_law()
    with pytest.raises(ConfigError, match="has 2 numbers for each datum"):
        own.encode(x, context=c[:, :2])


def test_measures_are_those_of_the_same_built_in_model() -> None:
    vae, own = _conditional()
    x, c = _data()
    bounds = []
    for each in (vae, own):
        with OwnParams():
            bounds.append(
                estimate_bound(each.datum_model, each.datum_guide, Given(x, c), samples=20, seed=0)
            )
    torch.testing.assert_close(bounds[0].elbo, bounds[1].elbo)
    torch.testing.assert_close(bounds[0].log_px, bounds[1].log_px)
    one, other = (pyrovae.collapse(m, x, context=c, points=40).scores for m in (vae, own))
    for key in ("elbo", "rate", "used_units", "informative_units", "active_units"):
        assert one[key] == pytest.approx(other[key], rel=1e-4), key


def test_training_is_that_of_the_same_built_in_model() -> None:
    x, c = _data(64)
    ends = []
    for each in (_conditional()[0], _conditional()[1]):
        trained = pyrovae.fit(each, x, context=c, steps=20, batch_size=16, lr=1e-2, progress=False)
        assert trained.history is not None
        ends.append(trained.history["loss"].iloc[-1])
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_pyros_own_cvae_trains_and_has_pyros_own_bound() -> None:
    with seeded(0):
        kind = torch.randint(0, 2, (400, 1))
        noise = (torch.rand(400, 12) < 0.1).float()
        patterns = torch.tensor([[1.0] * 6 + [0.0] * 6, [0.0] * 6 + [1.0] * 6])
        images = (patterns[kind.squeeze(1)] + noise) % 2
        # Of the missing half, two of four kinds for each known one: there is something to say.
        turned = (torch.rand(400, 1) > 0.5).float()
        images[:, 6:] = (images[:, 6:] + turned) % 2
        net_seeded = cvae((6,), 2)
    c, x = images[:, :6], images[:, 6:]
    vae = UserModel(net_seeded, (6,), 2, condition=6)
    (net,) = (m for m in vae.modules() if isinstance(m, CVAE))
    before = [p.clone() for p in net.baseline_net.parameters()]
    trained = pyrovae.fit(vae, x, context=c, steps=400, batch_size=50, lr=1e-2, progress=False)
    (net,) = (m for m in trained.modules() if isinstance(m, CVAE))
    for one, other in zip(net.baseline_net.parameters(), before, strict=True):
        assert torch.equal(one, other)
    with OwnParams():
        found = estimate_bound(
            trained.datum_model, trained.datum_guide, Given(x, c), samples=50, seed=0
        )
    pyro.clear_param_store()
    with seeded(1):
        loss = Trace_ELBO(num_particles=50).loss(net.model, net.guide, halves(c), halves(c, x))
    pyro.clear_param_store()
    assert float(found.elbo.mean()) == pytest.approx(-loss / 400, abs=0.05)
    # Six pixels with a chance of 0.1, and one of two kinds: 6 × 0.325 + 0.693 nats.
    assert -3.3 < float(found.elbo.mean()) < -2.5
    scores = pyrovae.collapse(trained, x, context=c, points=200).scores
    assert scores["used_units"] == 1
    drawn = pyro.poutine.trace(trained.datum_model).get_trace(None, c).nodes["x"]["value"]
    assert drawn.shape == x.shape
    assert set(np.unique(drawn.detach().numpy())) == {0.0, 1.0}


def test_what_cannot_be_given_a_context_is_said() -> None:
    net = nn.Linear(2, 6)

    def model(x: Tensor, c: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(c[:, :2], 1.0).to_event(1))
            pyro.sample("x", dist.Normal(net(z), 1.0).to_event(1), obs=x)

    def guide(x: Tensor, c: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(c[:, :2], 1.0).to_event(1))

    def alone(x: Tensor) -> None: ...

    def more(x: Tensor, c: Tensor, lengths: Tensor) -> None: ...

    def twofold(x: Tensor, c: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(c[:, :1], 1.0).to_event(1))
            pyro.sample("w", dist.Normal(c[:, 1:2], 1.0).to_event(1))

    def twofold_model(x: Tensor, c: Tensor) -> None:
        twofold(x, c)
        with pyro.plate("more", len(x)):
            pyro.sample("x", dist.Normal(c[:, :1].expand(-1, 6), 1.0).to_event(1), obs=x)

    def sees_x(x: Tensor, c: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x[:, :2], 1.0).to_event(1))
            pyro.sample("x", dist.Normal(net(z), 1.0).to_event(1), obs=x)

    UserModel((model, guide), (6,), 2, condition=3)
    for programs, told in (
        ((model, alone), "takes no second argument"),
        ((more, guide), "also asks for 'lengths', but programs are called with the observations x"),
        ((twofold_model, twofold), "one real code and one observation"),
        ((sees_x, guide), "has another p\\(z\\) for each datum"),
    ):
        with pytest.raises(ConfigError, match=told):
            UserModel(programs, (6,), 2, condition=3)
    with pytest.raises(ConfigError, match="also asks for 'c'"):
        UserModel((model, guide), (6,), 2)
    assert "condition" in inspect.signature(UserModel).parameters
