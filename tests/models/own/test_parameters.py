"""Every parameter that a program uses is trained, or refused by the name of its place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from families import small_images
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from pyrovae.core.errors import ConfigError
from pyrovae.models.own import UserModel
from pyrovae.models.own.parameters import leaves
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Trainer, TrainingSettings

FEATURES, LATENT = 3, 2

Function = Callable[[Tensor], Tensor]


class Held:
    """An object that holds something, and can be called."""

    tail = "of the class"

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, z: Tensor) -> Tensor:
        return self.inner(z)

    @property
    def again(self) -> Any:
        """What it holds."""
        return self.inner


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class Hiding(nn.Module):
    """A module that keeps another in a list, where torch does not see it."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.kept = [inner]

    def forward(self, z: Tensor) -> Tensor:
        return self.kept[0](z)


GLOBALS: dict[str, Any] = {}


def _default(inner: Function) -> Function:
    def call(z: Tensor, *, net: Function = inner) -> Tensor:
        return net(z)

    return call


def _closure(inner: Function) -> Function:
    def helper(z: Tensor) -> Tensor:
        return (lambda: inner(z))()

    return functools.wraps(inner if callable(getattr(inner, "__name__", None)) else helper)(
        lambda z: helper(z)
    )


def _of_class(inner: Function) -> Function:
    holder = type("Holder", (), {"net": staticmethod(inner), "__module__": __name__})
    return lambda z: holder.net(z)


def _global(inner: Function) -> Function:
    GLOBALS["nested"] = (inner,)
    return lambda z: GLOBALS["nested"][0](z)


def _item(holder: Any, get: Callable[[Any], Function]) -> Function:
    return lambda z: get(holder)(z)


#: Ways to keep a function of codes, each as a function of codes.
WAYS: dict[str, Callable[[Function], Function]] = {
    "dict": lambda f: _item({"net": f}, lambda h: h["net"]),
    "list": lambda f: _item([None, f], lambda h: h[1]),
    "tuple": lambda f: _item((f,), lambda h: h[0]),
    "namespace": lambda f: _item(SimpleNamespace(net=f), lambda h: h.net),
    "object": lambda f: _item(Held(f), lambda h: h.again),
    "callable": Held,
    "slots": lambda f: _item(Slotted(f), lambda h: h.inner),
    "method": lambda f: Held(f).__call__,
    "partial": lambda f: functools.partial(lambda net, z: net(z), f),
    "keyword": lambda f: functools.partial(lambda z, net: net(z), net=f),
    "default": _default,
    "closure": _closure,
    "class": _of_class,
    "hidden": Hiding,
}


def _programs(decode: Function, encode: Function) -> tuple[Any, Any]:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(LATENT), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(decode(z), 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encode(x), 1.0).to_event(1))

    return model, guide


def _own(decode: Function, encode: Function) -> UserModel:
    return UserModel(_programs(decode, encode), (FEATURES,), LATENT)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(list(WAYS)), min_size=1, max_size=4))
def test_a_kept_decoder_is_trained_or_named(ways: list[str]) -> None:
    decoder, encoder = nn.Linear(LATENT, FEATURES), nn.Linear(FEATURES, LATENT)
    decode: Function = decoder
    for way in ways:
        decode = WAYS[way](decode)
    if "hidden" in ways:
        with pytest.raises(ConfigError, match=r"not be trained: \S+\.weight, \S+\.bias; register"):
            _own(decode, encoder)
        return
    vae = _own(decode, encoder)
    trained = {id(p): vae.is_guide_parameter(name) for name, p in vae.named_parameters()}
    assert trained == {
        **{id(p): False for p in decoder.parameters()},
        **{id(p): True for p in encoder.parameters()},
    }


def test_a_decoder_of_a_global_is_trained() -> None:
    decoder, encoder = nn.Linear(LATENT, FEATURES), nn.Linear(FEATURES, LATENT)
    vae = _own(_global(decoder), encoder)
    assert {id(p) for p in decoder.parameters()} <= {id(p) for p in vae.parameters()}


class Both(nn.Module):
    """Model and guide as methods, with the decoder where torch does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(LATENT, FEATURES)]
        self.model_of, self.guide_of = None, nn.Linear(FEATURES, LATENT)

    def model(self, x: Tensor) -> None:
        """Decode by what is hidden."""
        _programs(self.layers[0], self.guide_of)[0](x)

    def guide(self, x: Tensor) -> None:
        """Encode."""
        _programs(self.layers[0], self.guide_of)[1](x)


class Announcing(Both):
    """The same, but Pyro is told of the hidden decoder."""

    def model(self, x: Tensor) -> None:
        """Decode by what is hidden, and announced."""
        pyro.module("decoder", self.layers[0])
        super().model(x)


def test_what_a_module_hides_is_trained_only_if_announced() -> None:
    # torch and Pyro would not train it either: perhaps it is hidden for that.
    with pytest.raises(ConfigError, match=r"trained: Both.layers\[0\].weight, Both.layers\[0\]"):
        UserModel(Both(), (FEATURES,), LATENT)
    announcing = Announcing()
    vae = UserModel(announcing, (FEATURES,), LATENT)
    assert announcing.layers[0].weight in set(vae.parameters())


SHIFT = torch.zeros(FEATURES, requires_grad=True)
GAINS = {"w": nn.Parameter(torch.ones(FEATURES))}


@pytest.mark.parametrize(
    ("decode", "place"),
    [
        (lambda z: z.sum(-1, keepdim=True) + SHIFT, "trained: SHIFT;"),
        (lambda z: GAINS["w"] * z[:, :1], r"trained: GAINS\['w'\];"),
        (lambda z: nn.Linear(LATENT, FEATURES)(z), r"one of shape \(3, 2\), one of shape \(3,\)"),
    ],
)
def test_what_cannot_be_trained_is_named(decode: Function, place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        _own(decode, nn.Linear(FEATURES, LATENT))


def test_handlers_and_wrappers_around_programs_hide_nothing() -> None:
    decoder, encoder = nn.Linear(LATENT, FEATURES), nn.Linear(FEATURES, LATENT)
    model, guide = _programs(decoder, encoder)

    @functools.wraps(model)
    def wrapped(x: Tensor) -> None:
        model(x)

    pair = (poutine.scale(wrapped, scale=2.0), poutine.scale(guide, scale=2.0))
    assert len(list(UserModel(pair, (FEATURES,), LATENT).parameters())) == 4


def test_a_parameter_may_be_started_by_the_guide() -> None:
    encoder = nn.Linear(FEATURES, LATENT)
    vae = _own(
        lambda z: z[:, :1].expand(-1, FEATURES) * pyro.param("gain"),
        lambda x: encoder(x) * pyro.param("gain", torch.ones(1)),
    )
    assert sorted(p.numel() for p in vae.parameters()) == [1, LATENT, FEATURES * LATENT]


class Line(PyroModule):
    """A PyroModule, which announces the parameters that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.net = PyroModule[nn.Linear](LATENT, FEATURES)

    def forward(self, x: Tensor) -> None:
        _programs(self.net, self.net)[0](x)


def test_a_pyro_module_has_each_parameter_once() -> None:
    with pyro.settings.context(module_local_params=True):
        guide = _programs(nn.Identity(), encoder := nn.Linear(FEATURES, LATENT))[1]
        vae = UserModel((Line(), guide), (FEATURES,), LATENT)
    assert sum(p.numel() for p in vae.parameters()) == 9 + 8
    # Version 0.1.0 wrote a copy of them, which nothing used.
    state = {**vae.state_dict(), "_own.net__weight": torch.zeros(FEATURES, LATENT)}
    vae.load_state_dict(state)
    assert encoder.weight in set(vae.parameters())


def test_what_needs_no_gradient_stays_as_it_is() -> None:
    decoder = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(-1, (1, 8, 8)))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    decoder[0].weight.requires_grad_(False)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 1.0).to_event(1))

    vae = UserModel((model, guide), (1, 8, 8), 2)
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    program = LossProgram(vae, Elbo())
    how = TrainingSettings(steps=3, batch_size=16, lr=1e-2, records=2)
    Trainer(program, small_images(40), how, compiled=False).train(program, seed=0)
    moved = {name for name, p in vae.named_parameters() if not torch.equal(p, before[name])}
    assert before.keys() - moved == {n for n, p in vae.named_parameters() if not p.requires_grad}
    assert len(moved) == 3


def test_leaves_are_what_autograd_ends_in() -> None:
    a, b, c, frozen = (torch.ones(2, requires_grad=i < 3) for i in range(4))
    found = leaves([(a * frozen).sum() + b.exp().detach().sum(), c, (b * 2).detach()])
    assert {id(t) for t in found} == {id(a), id(c)}
