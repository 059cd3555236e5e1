"""Importance weights of the guide: p(x, z) / q(z|x), and what they tell of a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.models.contract import LatentModel

#: Elements of decoded observations that are held at a time.
_ELEMENTS = 2**20


@dataclass(frozen=True)
class Weighted:
    """Codes with weights.

    Attributes
    ----------
    z
        ``(samples, n, d)``.
    log_weight
        log p(x, z) - log q(z|x), nats, ``(samples, n)``, ``float64``.
    """

    z: Tensor
    log_weight: Tensor


@dataclass(frozen=True)
class Estimate:
    """Values for each datum and their Monte Carlo standard errors, nats, ``(n,)`` each."""

    value: Tensor
    error: Tensor

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the difference of independent estimates."""
        return Estimate(self.value - other.value, (self.error**2 + other.error**2).sqrt())

    def mean(self) -> tuple[float, float]:
        """Return the mean over these data and its Monte Carlo standard error."""
        return float(self.value.mean()), float((self.error**2).sum().sqrt()) / len(self.value)


@only_measures
def draw_guide(vae: LatentModel, data: Data, *, samples: int, seed: int) -> Weighted:
    """Draw codes from q(z|x) and weigh them.

    Parameters
    ----------
    vae
        The trained model and guide.
    data
        Observations ``(n, *event_shape)``, with their context where they have one.
    samples
        Draws for each datum.
    seed
        Of the draws; the global random state is left as it was.
    """
    x, told = observed(data), given(data)
    with torch.no_grad(), seeded(seed, x.device):
        q = vae.encode(x, **told)
        z = q.sample((samples,))
        log_weight = vae.prior_law(**told).log_prob(z).double() - q.log_prob(z).double()
        parts = z.split(draws_at_a_time(x))
        log_likelihood = [vae.decode(part, **told).log_prob(x).double() for part in parts]
    return Weighted(z, log_weight + torch.cat(log_likelihood))


def draws_at_a_time(x: Tensor) -> int:
    """Return how many draws of codes for data ``(n, *event_shape)`` are to be decoded at once."""
    return max(1, _ELEMENTS // x.numel())


def elbo(log_weight: Tensor) -> Estimate:
    """Return the evidence lower bound from ``(samples, n)`` log weights."""
    return Estimate(log_weight.mean(0), log_weight.std(0) / math.sqrt(len(log_weight)))


def log_mean(log_weight: Tensor) -> Estimate:
    """Return the log of the mean weight: with K samples the IWAE bound on log p(x).

    Burda, Grosse & Salakhutdinov 2016, eq. 8 (arXiv:1509.00519). The error is the delta method's;
    weights whose largest one rules have a larger error than that (see Pareto k).
    """
    k = len(log_weight)
    value = log_weight.logsumexp(0) - math.log(k)
    relative = (log_weight - value).exp()
    return Estimate(value, relative.std(0) / math.sqrt(k))
