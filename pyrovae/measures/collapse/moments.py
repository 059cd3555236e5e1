"""Means and variances of codes, for families that know theirs and for families that do not."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Distribution

#: Draws for each datum where a family has no moments in closed form.
DRAWS = 64


@dataclass(frozen=True)
class Moments:
    """First two moments of q(z|x) for each datum and unit.

    Attributes
    ----------
    mean, variance
        ``(n, latent_dim)``.
    error
        Variance of ``mean`` as an estimate, ``(n, latent_dim)``: 0 for a closed form.
    """

    mean: Tensor
    variance: Tensor
    error: Tensor


def moments(q: Distribution, draws: int = DRAWS) -> Moments:
    """Return the moments of q(z|x), in closed form or from ``draws`` draws.

    Parameters
    ----------
    q
        Batch ``(n,)``, event ``(latent_dim,)``.
    draws
        At least 2. The variance has denominator ``draws - 1``.
    """
    try:
        mean, variance = q.mean, q.variance
    except NotImplementedError:
        z = q.sample((draws,))
        variance = z.var(0)
        return Moments(z.mean(0), variance, variance / draws)
    return Moments(mean, variance, variance.new_zeros(()).expand_as(variance))
