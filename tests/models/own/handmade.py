"""Models as users write them: plain functions, PyroModules, one object with two methods."""

from __future__ import annotations

import math
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import softplus


def build(event_shape: tuple[int, ...], latent_dim: int, *, hidden: int = 16) -> Any:
    """Plain functions that close over networks, with a pyro.param of their own."""
    features = math.prod(event_shape)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_dim)
    )
    decoder = nn.Sequential(nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, features))

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        spread = pyro.param("spread", torch.ones(latent_dim), constraint=constraints.positive)
        with pyro.plate("images", len(x)):
            code = pyro.sample("code", dist.Normal(torch.zeros(latent_dim), spread).to_event(1))
            logits = decoder(code).reshape(*code.shape[:-1], *event_shape)
            pyro.sample("image", dist.Bernoulli(logits=logits).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        loc, raw = encoder(x).chunk(2, -1)
        with pyro.plate("images", len(x)):
            pyro.sample("code", dist.Normal(loc, softplus(raw) + 1e-4).to_event(1))

    return model, guide


class Model(PyroModule):
    """Probabilistic PCA with a learned noise scale, as a PyroModule."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.loading = PyroModule[nn.Linear](latent_dim, features)
        self.noise = PyroParam(torch.tensor(0.5), constraint=constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0).expand([self.latent_dim]).to_event(1))
            pyro.sample("x", dist.Normal(self.loading(z), self.noise).to_event(1), obs=x)


class Guide(PyroModule):
    """Its posterior family: linear, with full covariance shared by all data."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.loc = PyroModule[nn.Linear](features, latent_dim)
        self.tril = PyroParam(torch.eye(latent_dim), constraint=constraints.lower_cholesky)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            pyro.sample("z", dist.MultivariateNormal(self.loc(x), scale_tril=self.tril))


def build_pca(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A pair of PyroModules."""
    return Model(event_shape[0], latent_dim), Guide(event_shape[0], latent_dim)


def _noise(event_shape: tuple[int, ...]) -> Any:
    return dist.Normal(torch.zeros(event_shape), 1.0).to_event(len(event_shape))


def two_codes(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A model with two latent sites, which is one too many."""

    def model(x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            for name in ("a", "b"):
                pyro.sample(name, dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))
            pyro.sample("x", _noise(event_shape), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            for name in ("a", "b"):
                pyro.sample(name, dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))

    return model, guide


def no_code(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A model and a guide that share no site."""

    def model(x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            pyro.sample("x", _noise(event_shape), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("rows", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))

    return model, guide


def one_sample(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A model that takes no more than one code for each datum."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))
            loc = z.sum(-1).reshape(len(x), 1, 1, 1).expand(len(x), *event_shape)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        scale = pyro.param("scale", torch.ones(latent_dim), constraint=constraints.positive)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(latent_dim), scale).to_event(1))

    return model, guide


def scalar_code(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A code without event dimension."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", _noise(event_shape), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    return model, guide


def nothing(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """No pair at all."""
    return 3


not_a_function = 3
