"""Means and variances of codes, for families that know theirs and for families that do not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.joint import Joint

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
    if isinstance(q, Joint):
        return _joint_moments(q, draws)
    try:
        mean, variance = q.mean, q.variance
    except NotImplementedError:
        z = q.sample((draws,))
        variance = z.var(0)
        return Moments(z.mean(0), variance, variance / draws)
    return Moments(mean, variance, variance.new_zeros(()).expand_as(variance))


def _joint_moments(q: Joint, draws: int) -> Moments:
    """Return the moments of a code of layers: those of each layer's law, over draws of the others.

    Of a layer that is drawn first they are exact. Of another, the mean of means given what was
    drawn (Rao-Blackwell), and the law of total variance.
    """
    _, laws = q.drawn((draws,))
    parts = []
    for law in laws:
        if len(law.batch_shape) == len(q.batch_shape):  # given nothing that was drawn
            parts.append(moments(law, draws))
            continue
        each = moments(law, draws)
        between = each.mean.var(0)
        parts.append(Moments(each.mean.mean(0), each.variance.mean(0) + between, between / draws))
    return Moments(
        *(torch.cat([getattr(part, name) for part in parts], -1) for name in vars(parts[0]))
    )
