"""Programs in the manner of Pyro's own examples, which a user may bring along."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoDelta, AutoDiagonalNormal, AutoNormal
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import softplus


class FlatVAE(nn.Module):
    """As in ``examples/vae/vae.py``: the observed site is flat, whatever the data are."""

    def __init__(self, numbers: int, latent_dim: int) -> None:
        super().__init__()
        self.numbers, self.latent_dim = numbers, latent_dim
        self.encoder = nn.Sequential(nn.Linear(numbers, 16), nn.Softplus())
        self.heads = nn.Linear(16, 2 * latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 16), nn.Softplus(), nn.Linear(16, numbers)
        )

    def model(self, x: Tensor) -> Tensor:
        pyro.module("decoder", self.decoder)
        with pyro.plate("data", x.shape[0]):
            z_loc = torch.zeros(x.shape[0], self.latent_dim, dtype=x.dtype, device=x.device)
            z = pyro.sample("latent", dist.Normal(z_loc, torch.ones_like(z_loc)).to_event(1))
            image = torch.sigmoid(self.decoder(z))
            law = dist.Bernoulli(image, validate_args=False).to_event(1)
            pyro.sample("obs", law, obs=x.reshape(-1, self.numbers))
            return image

    def guide(self, x: Tensor) -> None:
        pyro.module("encoder", self.encoder)
        with pyro.plate("data", x.shape[0]):
            loc, raw = self.heads(self.encoder(x.reshape(-1, self.numbers))).chunk(2, -1)
            pyro.sample("latent", dist.Normal(loc, torch.exp(raw)).to_event(1))


def flat_vae(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    return FlatVAE(torch.Size(event_shape).numel(), latent_dim)


def takes_rows(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A VAE whose encoder does not flatten."""
    vae = FlatVAE(torch.Size(event_shape).numel(), latent_dim)
    vae.guide = lambda x: vae.heads(vae.encoder(x))
    return vae


def conditional(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """As in ``examples/cvae``: inputs, and outputs that are missing when it generates."""
    net = nn.Linear(latent_dim, torch.Size(event_shape).numel())

    def model(xs: Tensor, ys: Tensor | None = None) -> Tensor:
        pyro.module("generation_net", net)
        with pyro.plate("data", len(xs)):
            z = pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))
            loc = torch.sigmoid(net(z))
            if ys is not None:
                pyro.sample("y", dist.Bernoulli(loc).to_event(1), obs=ys)
            else:
                pyro.deterministic("y", loc.detach())
        return loc

    def guide(xs: Tensor, ys: Tensor | None = None) -> None:
        with pyro.plate("data", len(xs)):
            pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))

    return model, guide


def labelled(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """As in ``examples/vae/ss_vae_M2.py``: labels are asked for."""

    def model(xs: Tensor, ys: Tensor) -> None: ...

    def guide(xs: Tensor, ys: Tensor) -> None: ...

    return model, guide


def markov(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """As in ``examples/dmm``: sequences with their lengths and masks."""

    def model(
        mini_batch: Tensor,
        mini_batch_reversed: Tensor,
        mini_batch_mask: Tensor,
        mini_batch_seq_lengths: Tensor,
        annealing_factor: float = 1.0,
    ) -> None: ...

    return model, model


def markov_of_one_length(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A deep Markov model of two steps: a code and an observation at each."""
    (width,) = event_shape
    net = nn.Linear(latent_dim, width)

    def model(x: Tensor) -> None:
        pyro.module("emitter", net)
        with pyro.plate("z_minibatch", len(x)):
            z = torch.zeros(len(x), latent_dim)
            for t in (1, 2):
                z = pyro.sample(f"z_{t}", dist.Normal(z, 1.0).to_event(1))
                pyro.sample(f"obs_x_{t}", dist.Bernoulli(logits=net(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("z_minibatch", len(x)):
            for t in (1, 2):
                pyro.sample(f"z_{t}", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))

    return model, guide


def _def_model(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    (width,) = event_shape

    def model(x: Tensor) -> None:
        with pyro.plate("w_plate", latent_dim * width):
            w = pyro.sample("w_top", dist.Gamma(0.1, 0.3))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z_top", dist.Gamma(0.1, 0.1).expand([latent_dim]).to_event(1))
            rate = z @ w.reshape(latent_dim, width)
            pyro.sample("obs", dist.Poisson(rate).to_event(1), obs=x)

    return model


def sparse_gamma(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """As in ``examples/sparse_gamma_def.py``: mean-field parameters for each datum."""
    (width,) = event_shape

    def guide(x: Tensor) -> None:
        with pyro.plate("w_plate", latent_dim * width):
            alpha = pyro.param("alpha_w", torch.ones(latent_dim * width), constraints.positive)
            pyro.sample("w_top", dist.Gamma(alpha, 1.0))
        with pyro.plate("data", len(x)):
            start = torch.ones(len(x), latent_dim)
            alpha = pyro.param("alpha_z", start, constraint=constraints.positive)
            pyro.sample("z_top", dist.Gamma(alpha, 1.0).to_event(1))

    return _def_model(event_shape, latent_dim), guide


def gamma_codes(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """An amortised guide with gamma codes."""
    (width,) = event_shape
    encoder, decoder = nn.Linear(width, latent_dim), nn.Linear(latent_dim, width)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(torch.ones(latent_dim), 1.0).to_event(1))
            pyro.sample("obs", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Gamma(softplus(encoder(x)) + 0.1, 1.0).to_event(1))

    return model, guide


def _auto(kind: Any) -> Any:
    def build(event_shape: tuple[int, ...], latent_dim: int) -> Any:
        vae = FlatVAE(torch.Size(event_shape).numel(), latent_dim)
        return vae.model, kind(vae.model)

    return build


auto_normal, auto_diagonal = _auto(AutoNormal), _auto(AutoDiagonalNormal)


def auto_called(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """An automatic guide inside a function."""
    vae = FlatVAE(torch.Size(event_shape).numel(), latent_dim)
    auto = AutoDelta(vae.model)

    def guide(x: Tensor) -> None:
        auto(x)

    return vae.model, guide


def first_come(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """A guide that remembers how many data came first."""
    vae = FlatVAE(torch.Size(event_shape).numel(), latent_dim)
    locs: list[Tensor] = []

    def guide(x: Tensor) -> None:
        if not locs:
            locs.append(torch.zeros(len(x), latent_dim))
        with pyro.plate("data", len(x)):
            pyro.sample("latent", dist.Normal(locs[0], 1.0).to_event(1))

    return vae.model, guide


def no_data(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    return (lambda: None), (lambda: None)


class _Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / self.calls


class _Clamps(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.weight.clamp_(min=0)
        return super().forward(x)


class _Forgets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.mean.lerp_(x.detach().mean(), 0.1)
        return x - self.mean


class _Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.last = x.detach().mean()
        return x


class _Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


_LAYERS = {
    "counts": _Counts,
    "clamps": lambda: _Clamps(16, 16),
    "forgets": _Forgets,
    "remembers": _Remembers,
    "branches": _Branches,
    "cumulative": lambda: nn.BatchNorm1d(16, momentum=None),
    "noisy": lambda: nn.RReLU(),
    "normed": lambda: nn.BatchNorm1d(16),
}


def with_layer(event_shape: tuple[int, ...], latent_dim: int, *, layer: str) -> Any:
    """A VAE with one more layer in its encoder."""
    vae = FlatVAE(torch.Size(event_shape).numel(), latent_dim)
    vae.encoder.append(_LAYERS[layer]())
    return vae
