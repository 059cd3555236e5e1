"""Quantiles of a smooth density on [0, pi], by quadrature, with exact derivatives.

The cosine between a direction and a draw around it has, for many laws on the sphere, a known
density but no quantile function. Rejection sampling needs an unknown number of tries; inversion
needs one uniform number. With the density in an angle, chosen so that it is smooth and broad for
every concentration, Gauss-Legendre quadrature is exact to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: Nodes in each cell of the grid.
_NODES = 6
#: Newton steps from linear interpolation inside a cell: each doubles the digits.
_STEPS = 4


def angle_quantile(log_density: Callable[[Tensor], Tensor], u: Tensor, cells: int) -> Tensor:
    """Return the angle below which a share ``u`` of the mass lies.

    The derivative with respect to the density's parameters is that of the inverse function: with F
    the distribution function and f its density, dphi = -dF / f (Figurnov, Mohamed & Mnih 2018,
    eq. 6; arXiv:1805.08498).

    Parameters
    ----------
    log_density
        Angles ``(*b, m)`` in (0, pi) to unnormalised log-densities of the same shape; ``b`` is the
        shape of the parameters.
    u
        Uniform noise in [0, 1], shape ``(*s, *b)``.
    cells
        Parts of [0, pi]: enough that the density is nearly a polynomial of degree 11 on each.

    Returns
    -------
    Tensor
        Angles ``(*s, *b)``.
    """
    nodes, weights = _gauss_legendre(u)
    width = math.pi / cells
    starts = width * torch.arange(cells, dtype=u.dtype, device=u.device)
    places = (starts.unsqueeze(-1) + width * nodes).flatten()
    log_values = log_density(places)
    peak = log_values.detach().amax(-1, keepdim=True)
    values = torch.exp(log_values - peak).unflatten(-1, (cells, _NODES))
    mass = width * (values * weights).sum(-1)
    total = mass.sum(-1)
    below = torch.nn.functional.pad(mass.cumsum(-1), (1, 0))[..., :-1]

    def density(phi: Tensor) -> Tensor:
        # ``phi`` (*s, *b, m): the parameters' batch is on its right.
        return torch.exp(log_density(phi) - peak)

    with torch.no_grad():
        target = u * total
        cell = (below[..., 1:] < target.unsqueeze(-1)).sum(-1, keepdim=True)
        at = cell.shape[:-1]
        start = width * cell.to(u.dtype)
        rest = target.unsqueeze(-1) - below.expand(*at, cells).gather(-1, cell)
        share = rest / mass.expand(*at, cells).gather(-1, cell).clamp(min=1e-30)
        # Away from the ends, where densities may vanish.
        inner = 1e-4 * width
        phi = start + (width * share).clamp(inner, width - inner)
        for _ in range(_STEPS):
            step = phi - start
            found = step * (density(start + step * nodes) * weights).sum(-1, keepdim=True)
            phi = phi - (found - rest) / density(phi).clamp(min=1e-30)
            phi = torch.minimum(torch.maximum(phi, start + inner), start + width - inner)
        slope = density(phi).clamp(min=1e-30) / total.unsqueeze(-1)

    step = phi - start
    found = step * (density(start + step * nodes) * weights).sum(-1, keepdim=True)
    share_below = (below.expand(*at, cells).gather(-1, cell) + found) / total.unsqueeze(-1)
    moved = -(share_below - share_below.detach()) / slope
    return (phi + moved).squeeze(-1)


def _gauss_legendre(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return nodes and weights for [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return like.new_tensor((nodes + 1) / 2), like.new_tensor(weights / 2)
