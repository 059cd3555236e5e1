"""Divergences of one-dimensional laws that are known by draws alone.

Distances to the k-th nearest neighbour stand for densities: few draws suffice, nothing is binned,
and no bandwidth is chosen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest_kl(z: Tensor, reference: Tensor, k: int = 4) -> Tensor:
    """Estimate KL(q || p) in nats from draws of both.

    ``mean log(nu / rho) + log(m / (s - 1)) + psi(k) - psi(k')``, with ``rho`` the distance of a
    draw of q to its k-th nearest neighbour among the others and ``nu`` that to its k'-th nearest
    draw of p (Wang, Kulkarni & Verdú 2009, eq. 17, doi:10.1109/TIT.2009.2016060, and eq. 25 for
    k other than k'). ``k' / m`` is ``k / s``: the smoothing of both densities is then the same
    where they agree, so that a collapsed unit gets 0 and not the difference of two biases.

    Parameters
    ----------
    z
        Draws of q, ``(*b, s)``, s > k.
    reference
        Draws of p, ``(m,)``, m >= s.
    k
        The larger, the smaller the variance and the larger the bias.

    Returns
    -------
    Tensor
        Shape ``b``.
    """
    s, m = z.shape[-1], len(reference)
    k_reference = max(1, round(k * m / s))
    z = z.sort(-1).values
    rho = _within(z, k)
    nu = _across(z, reference.sort().values, k_reference)
    tiny = torch.finfo(z.dtype).tiny
    log_ratio = (nu.clamp(min=tiny) / rho.clamp(min=tiny)).log().mean(-1)
    psi = torch.digamma(torch.tensor([float(k), float(k_reference)]))
    return log_ratio + math.log(m / (s - 1)) + float(psi[0] - psi[1])


def _within(z: Tensor, k: int) -> Tensor:
    """Return the distance of each of the sorted ``z`` to its k-th nearest neighbour among them."""
    pad = z.new_full((*z.shape[:-1], k), math.inf)
    padded = torch.cat([-pad, z, pad], -1)
    radius = torch.full_like(z, math.inf)
    for left in range(k + 1):
        # The window holds `left` neighbours below and k - left above.
        low = padded[..., k - left : k - left + z.shape[-1]]
        high = padded[..., 2 * k - left : 2 * k - left + z.shape[-1]]
        radius = torch.minimum(radius, torch.maximum(z - low, high - z))
    return radius


def _across(z: Tensor, reference: Tensor, k: int) -> Tensor:
    """Return the distance of each ``z`` to its k-th nearest in the sorted ``reference``.

    By bisection over how many of the k lie below: the farthest below grows with that number, the
    farthest above falls.
    """
    m = len(reference)
    position = torch.searchsorted(reference, z.contiguous())
    low = (k - (m - position)).clamp(min=0)  # fewest that can lie below
    high = position.clamp(max=k)  # most that can

    def radius(below: Tensor) -> tuple[Tensor, Tensor]:
        above = k - below
        to_left = z - reference[(position - below).clamp(min=0, max=m - 1)]
        to_right = reference[(position + above - 1).clamp(min=0, max=m - 1)] - z
        zero = torch.zeros_like(z)
        return torch.where(below > 0, to_left, zero), torch.where(above > 0, to_right, zero)

    for _ in range(max(1, math.ceil(math.log2(k + 1)) + 1)):
        middle = (low + high) // 2
        left, right = radius(middle)
        enough = left >= right
        high = torch.where(enough, middle, high)
        low = torch.where(enough, low, torch.minimum(middle + 1, high))
    # The best split is where the two sides cross: there, or one before.
    best = torch.maximum(*radius(high))
    fewest = (k - (m - position)).clamp(min=0)
    before = torch.maximum(*radius(torch.maximum(high - 1, fewest)))
    return torch.minimum(best, before)
