"""Re-creations of Pyro's own examples: their sites, plates and signatures, on small data."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import config_enumerate
from torch import Tensor, nn


def _net(inputs: int, outputs: int, hidden: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Softplus(), nn.Linear(hidden, outputs))


class LabelledVAE(nn.Module):
    """As ``SSVAE`` of ``examples/vae/ss_vae_M2.py``: a code z, a label y, and both decoded."""

    def __init__(self, numbers: int, z_dim: int, labels: int) -> None:
        super().__init__()
        self.z_dim, self.labels = z_dim, labels
        self.encoder_y = nn.Sequential(_net(numbers, labels), nn.Softmax(-1))
        self.encoder_z = _net(numbers + labels, 2 * z_dim)
        self.decoder = nn.Sequential(_net(z_dim + labels, numbers), nn.Sigmoid())

    def model(self, xs: Tensor, ys: Tensor | None = None) -> Tensor:
        pyro.module("ss_vae", self)
        batch_size = xs.size(0)
        with pyro.plate("data"):
            loc = torch.zeros(batch_size, self.z_dim, dtype=xs.dtype)
            zs = pyro.sample("z", dist.Normal(loc, torch.ones_like(loc)).to_event(1))
            alpha = torch.ones(batch_size, self.labels) / (1.0 * self.labels)
            ys = pyro.sample("y", dist.OneHotCategorical(alpha), obs=ys)
            image = self.decoder(torch.cat([zs, ys], -1))
            pyro.sample("x", dist.Bernoulli(image, validate_args=False).to_event(1), obs=xs)
            return image

    def guide(self, xs: Tensor, ys: Tensor | None = None) -> None:
        with pyro.plate("data"):
            if ys is None:
                ys = pyro.sample("y", dist.OneHotCategorical(self.encoder_y(xs)))
            loc, raw = self.encoder_z(torch.cat([xs, ys], -1)).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, torch.exp(raw)).to_event(1))


def ss_vae_m2(
    event_shape: tuple[int, ...], latent_dim: int, *, labels: int = 3, enumerated: bool = True
) -> Any:
    """Real units and a label."""
    vae = LabelledVAE(event_shape[0], latent_dim - 1, labels)
    guide = config_enumerate(vae.guide, "parallel", expand=True) if enumerated else vae.guide
    return vae.model, guide


class DMM(nn.Module):
    """As ``DMM`` of ``examples/dmm.py``: a code and an observation at each step of a sequence."""

    def __init__(self, input_dim: int, z_dim: int, rnn_dim: int = 6) -> None:
        super().__init__()
        self.emitter = nn.Sequential(_net(z_dim, input_dim), nn.Sigmoid())
        self.trans = _net(z_dim, 2 * z_dim)
        self.combiner = _net(z_dim + rnn_dim, 2 * z_dim)
        self.rnn = nn.RNN(input_dim, rnn_dim, batch_first=True)
        self.z_0 = nn.Parameter(torch.zeros(z_dim))
        self.z_q_0 = nn.Parameter(torch.zeros(z_dim))

    def model(
        self,
        mini_batch: Tensor,
        mini_batch_reversed: Tensor,
        mini_batch_mask: Tensor,
        mini_batch_seq_lengths: Tensor,
        annealing_factor: float = 1.0,
    ) -> None:
        t_max = mini_batch.size(1)
        pyro.module("dmm", self)
        z_prev = self.z_0.expand(mini_batch.size(0), self.z_0.size(0))
        with pyro.plate("z_minibatch", len(mini_batch)):
            for t in range(1, t_max + 1):
                z_loc, raw = self.trans(z_prev).chunk(2, -1)
                with pyro.poutine.scale(scale=annealing_factor):
                    z_t = pyro.sample(
                        f"z_{t}",
                        dist.Normal(z_loc, torch.nn.functional.softplus(raw) + 0.1)
                        .mask(mini_batch_mask[:, t - 1 : t])
                        .to_event(1),
                    )
                pyro.sample(
                    f"obs_x_{t}",
                    dist.Bernoulli(self.emitter(z_t))
                    .mask(mini_batch_mask[:, t - 1 : t])
                    .to_event(1),
                    obs=mini_batch[:, t - 1, :],
                )
                z_prev = z_t

    def guide(
        self,
        mini_batch: Tensor,
        mini_batch_reversed: Tensor,
        mini_batch_mask: Tensor,
        mini_batch_seq_lengths: Tensor,
        annealing_factor: float = 1.0,
    ) -> None:
        pyro.module("dmm", self)
        states, _ = self.rnn(mini_batch_reversed)
        states = states.flip(1)
        z_prev = self.z_q_0.expand(mini_batch.size(0), self.z_q_0.size(0))
        with pyro.plate("z_minibatch", len(mini_batch)):
            for t in range(1, mini_batch.size(1) + 1):
                loc, raw = self.combiner(torch.cat([z_prev, states[:, t - 1]], -1)).chunk(2, -1)
                law = dist.Normal(loc, torch.nn.functional.softplus(raw) + 0.1)
                with pyro.poutine.scale(scale=annealing_factor):
                    z_prev = pyro.sample(
                        f"z_{t}", law.mask(mini_batch_mask[:, t - 1 : t]).to_event(1)
                    )


def dmm(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """What the example's data loader adds to sequences of one length is made of them."""
    steps, width = event_shape
    net = DMM(width, latent_dim // steps)

    def given(program: Any) -> Any:
        def called(x: Tensor) -> Any:
            lengths = torch.full((len(x),), steps)
            return program(x, x.flip(1), torch.ones(len(x), steps), lengths)

        return called

    return given(net.model), given(net.guide)


class CVAE(nn.Module):
    """As ``CVAE`` of ``examples/cvae``: xs are images of which a part is -1, ys has that part.

    ``baseline_net`` is trained beforehand and stays as it is.
    """

    def __init__(self, numbers: int, z_dim: int) -> None:
        super().__init__()
        self.baseline_net = nn.Sequential(_net(numbers, numbers), nn.Sigmoid())
        self.prior_net = _net(2 * numbers, 2 * z_dim)
        self.generation_net = nn.Sequential(_net(z_dim, numbers), nn.Sigmoid())
        self.recognition_net = _net(2 * numbers, 2 * z_dim)

    def model(self, xs: Tensor, ys: Tensor | None = None) -> Tensor:
        pyro.module("generation_net", self)
        batch_size = xs.shape[0]
        with pyro.plate("data"):
            with torch.no_grad():
                y_hat = self.baseline_net(xs).view(xs.shape)
            loc, raw = self.prior_net(torch.cat([xs, y_hat], -1)).chunk(2, -1)
            zs = pyro.sample("z", dist.Normal(loc, raw.exp()).to_event(1))
            loc = self.generation_net(zs)
            if ys is not None:
                missing = xs == -1
                mask_loc = loc[missing].view(batch_size, -1)
                mask_ys = ys[missing].view(batch_size, -1)
                pyro.sample(
                    "y", dist.Bernoulli(mask_loc, validate_args=False).to_event(1), obs=mask_ys
                )
            return loc

    def guide(self, xs: Tensor, ys: Tensor | None = None) -> None:
        with pyro.plate("data"):
            if ys is None:
                y_hat = self.baseline_net(xs).view(xs.shape)
                loc, raw = self.prior_net(torch.cat([xs, y_hat], -1)).chunk(2, -1)
            else:
                loc, raw = self.recognition_net(torch.cat([xs, ys], -1)).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, raw.exp()).to_event(1))


def halves(c: Tensor, x: Tensor | None = None) -> Tensor:
    """Return whole images of a known and a missing half, the latter -1 where it is not given."""
    return torch.cat([c, torch.full_like(c, -1.0) if x is None else x], -1)


def cvae(event_shape: tuple[int, ...], latent_dim: int) -> Any:
    """Observed is the missing half of an image; the context is the known one."""
    net = CVAE(2 * event_shape[0], latent_dim)

    def model(x: Tensor, c: Tensor) -> Tensor:
        return net.model(halves(c), halves(c, x))

    def guide(x: Tensor, c: Tensor) -> None:
        net.guide(halves(c), halves(c, x))

    return model, guide
