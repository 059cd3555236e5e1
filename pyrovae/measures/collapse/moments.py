"""Means and variances of codes, for families that know theirs and for families that do not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.columns import Columns
from pyrovae.distributions.joint import Joint
from pyrovae.distributions.labels import shares
from pyrovae.distributions.marginals import marginals

#: Draws for each datum where a family has no moments in closed form.
DRAWS = 64


@dataclass(frozen=True)
class Moments:
    """First two moments of q(z|x) for each datum and unit.

    A label has no mean and no variance; what stands for them is the most probable label, and Gini's
    variance, (1 - sum_k q_k²) / 2: half the chance that two draws differ, which of a switch is the
    variance of 0 and 1. It is half the sum of the variances of the indicators of all labels, so
    that the law of total variance holds for it whatever the labels' order.

    Attributes
    ----------
    mean, variance
        ``(n, latent_dim)``.
    error
        Variance of ``mean`` as an estimate, ``(n, latent_dim)``: 0 for a closed form.
    shares
        q(z_u = k|x) of discrete units, ``(n, latent_dim, K)``; ``None`` without any. 0 in rows of
        real units.
    """

    mean: Tensor
    variance: Tensor
    error: Tensor
    shares: Tensor | None = None


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
    if isinstance(q, Columns):
        return _moments_of_columns(q, draws)
    found = _shares(q)
    if found is not None:
        variance = (1 - found.square().sum(-1)) / 2
        return Moments(found.argmax(-1).to(found.dtype), variance, 0 * variance, found)
    try:
        mean, variance = q.mean, q.variance
    except NotImplementedError:
        z = q.sample((draws,))
        variance = z.var(0)
        return Moments(z.mean(0), variance, variance / draws)
    return Moments(mean, variance, variance.new_zeros(()).expand_as(variance))


def _moments_of_columns(q: Columns, draws: int) -> Moments:
    parts = [moments(law, draws) for law in q.laws]
    mean, variance, error = (
        torch.cat([getattr(part, name) for part in parts], -1)
        for name in ("mean", "variance", "error")
    )
    return Moments(mean, variance, error, _shares(q))


def _shares(q: Distribution) -> Tensor | None:
    try:
        return shares(marginals(q))
    except NotImplementedError:
        return None


def _joint_moments(q: Joint, draws: int) -> Moments:
    """Return the moments of a code of layers: those of each layer's law, over draws of the others.

    Of a layer that is drawn first they are exact. Of another, the mean of means given what was
    drawn (Rao-Blackwell), and the law of total variance.
    """
    _, laws = q.drawn((draws,))
    parts = []
    for law in laws:
        labels = _shares(law)
        if labels is not None:
            parts.append(_moments_of_labels(labels, len(labels.shape) - 2 > len(q.batch_shape)))
            continue
        if len(law.batch_shape) == len(q.batch_shape):  # given nothing that was drawn
            parts.append(moments(law, draws))
            continue
        each = moments(law, draws)
        between = each.mean.var(0)
        parts.append(Moments(each.mean.mean(0), each.variance.mean(0) + between, between / draws))
    mean, variance, error = (
        torch.cat([getattr(part, name) for part in parts], -1)
        for name in ("mean", "variance", "error")
    )
    held = [part.shares for part in parts if part.shares is not None]
    if not held:
        return Moments(mean, variance, error)
    most = max(each.shape[-1] for each in held)
    padded = [
        mean.new_zeros(*part.mean.shape, most)
        if part.shares is None
        else torch.nn.functional.pad(part.shares, (0, most - part.shares.shape[-1]))
        for part in parts
    ]
    return Moments(mean, variance, error, torch.cat(padded, -2))


def _moments_of_labels(labels: Tensor, drawn: bool) -> Moments:
    """Return the moments of labels whose law is given draws of others, which are averaged over."""
    found = labels.mean(0) if drawn else labels
    variance = (1 - found.square().sum(-1)) / 2
    return Moments(found.argmax(-1).to(found.dtype), variance, 0 * variance, found)
