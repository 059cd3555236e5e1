"""A linear model with two layers whose marginal, joint posterior and gaps are known.

z2 ~ N(0, I), z1 = A z2 + s e, x = W z1 + sigma e, with A diagonal and the columns of W orthogonal:
all conditional laws are diagonal. The last unit of each layer is of no use. Under both guides the
family holds the exact posterior, and the guide is it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import pyrovae
from pyrovae.models.layered import LayeredVAE
from pyrovae.models.posteriors.base import raw_scale

DIM, SIZE, NOISE = 5, 3, 0.6
#: Lengths of the columns of W, the diagonal of A, and s.
GAINS, LINKS, SPREAD = (2.0, 1.2, 0.0), (1.5, 0.8, 0.0), (0.7, 0.9, 1.0)


@dataclass
class Linear:
    """The model, and what is known of it."""

    vae: LayeredVAE
    weights: Tensor
    links: Tensor
    spread: Tensor

    @property
    def variance(self) -> Tensor:
        """Of z1, unit by unit."""
        return self.links**2 + self.spread**2

    @property
    def gains(self) -> Tensor:
        """Precision that x gives each unit of z1."""
        return self.weights.square().sum(0) / NOISE**2

    def log_px(self, x: Tensor) -> Tensor:
        covariance = self.weights @ torch.diag(self.variance) @ self.weights.T
        return MultivariateNormal(
            torch.zeros(DIM), covariance + NOISE**2 * torch.eye(DIM)
        ).log_prob(x)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z1, z2|x), z1 first, from the joint precision."""
        a, s = torch.diag(self.links), torch.diag(self.spread**-2)
        precision = torch.cat(
            [
                torch.cat([s + self.weights.T @ self.weights / NOISE**2, -s @ a], 1),
                torch.cat([-a.T @ s, torch.eye(SIZE) + a.T @ s @ a], 1),
            ]
        )
        covariance = torch.linalg.inv(precision)
        seen = torch.cat([x @ self.weights / NOISE**2, torch.zeros(len(x), SIZE)], 1)
        return MultivariateNormal(seen @ covariance, covariance)

    def top(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``(n, 3)`` and variance ``(3,)`` of p(z2|x)."""
        h = self.gains / (1 + self.spread**2 * self.gains)
        variance = 1 / (1 + self.links**2 * h)
        seen = x @ self.weights / NOISE**2 / (1 + self.spread**2 * self.gains)
        return variance * self.links * seen, variance

    def unit_rates(self, x: Tensor) -> Tensor:
        """KL(p(z_l,u|z_>l, x) || p(z_l,u|z_>l)), mean over p(z_>l|x): ``(n, 6)``."""
        mean2, var2 = self.top(x)
        var1 = 1 / (self.spread**-2 + self.gains)
        # What x moves the mean of z1 by, beyond A z2: linear in z2.
        moved = var1 * (x @ self.weights / NOISE**2 - self.gains * self.links * mean2)
        square = moved**2 + (var1 * self.gains * self.links) ** 2 * var2
        ratio = var1 / self.spread**2
        first = 0.5 * (ratio + square / self.spread**2 - 1 - ratio.log())
        second = 0.5 * (var2 + mean2**2 - 1 - var2.log())
        return torch.cat([first, second], 1)

    def data(self, n: int, seed: int = 1234) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.vae.decode(self.vae.prior_law().sample((n,))).sample()


def linear(guide: str) -> Linear:
    vae = pyrovae.build(
        DIM,
        layers={"sizes": [SIZE, SIZE], "guide": guide, "hidden": []},
        network={"name": "mlp", "hidden": []},
        likelihood={"name": "gaussian", "sigma": NOISE, "learned": False},
    )
    assert isinstance(vae, LayeredVAE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = torch.linalg.qr(torch.randn(DIM, SIZE)).Q * torch.tensor(GAINS)
    found = Linear(vae, weights, torch.tensor(LINKS), torch.tensor(SPREAD))
    _set(next(m for m in vae.decoder.modules() if isinstance(m, nn.Linear)), weights)
    _set(vae.below[0].loc, torch.diag(found.links))
    _set(vae.below[0].scale, torch.zeros(SIZE, SIZE), raw_scale(found.spread))
    first, second = vae.posteriors
    if guide == "ladder":
        variance = 1 / (found.spread**-2 + found.gains)
        read = torch.cat([weights.T / NOISE**2, torch.diag(found.links / found.spread**2)], 1)
        _law(first, variance[:, None] * read, variance)
        basis = torch.eye(DIM)
        _law(second, found.top(basis)[0].T, found.top(basis)[1])
    else:
        variance = 1 / (1 / found.variance + found.gains)
        _law(first, variance[:, None] * weights.T / NOISE**2, variance)
        above = 1 / (1 + found.links**2 / found.spread**2)
        _law(second, torch.diag(above * found.links / found.spread**2), above)
    return found


def _set(layer: nn.Module, weight: Tensor, bias: Tensor | None = None) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_() if bias is None else layer.bias.copy_(bias)


def _law(posterior: nn.Module, gain: Tensor, variance: Tensor) -> None:
    _set(posterior.loc, gain)
    _set(posterior.scale, torch.zeros_like(posterior.scale.weight), raw_scale(variance.sqrt()))
