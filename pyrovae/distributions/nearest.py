"""Densities of one number from draws alone, by distances to nearest neighbours.

For laws that can be drawn from but whose marginals have no density: those of a normalizing flow,
of a coordinate on a sphere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: The neighbour whose distance is taken: more smooth the estimate, fewer keep it local.
_K = 3


def entropy(draws: Tensor) -> Tensor:
    """Return the differential entropy, in nats, of the law that each column is drawn from.

    H = psi(m) - psi(k) + log 2 + mean log e_k, e_k the distance of a draw to its k-th nearest
    neighbour among the others (Kozachenko & Leonenko 1987; Kraskov, Stögbauer & Grassberger 2004,
    eq. 20, arXiv:cond-mat/0305641).

    Parameters
    ----------
    draws
        Shape ``(m, *b)``, m > 3, without ties.

    Returns
    -------
    Tensor
        Shape ``b``.
    """
    m = len(draws)
    ordered = draws.movedim(0, -1).sort(-1).values
    padding = torch.full_like(ordered[..., :_K], torch.inf)
    padded = torch.cat([-padding, ordered, padding], -1)
    # The k nearest of an ordered draw are a run of neighbours: j below it and k - j above.
    reach = [
        torch.maximum(
            ordered - padded[..., _K - j : _K - j + m], padded[..., 2 * _K - j :][..., :m] - ordered
        )
        for j in range(_K + 1)
    ]
    distance = torch.stack(reach).amin(0)
    return _psi(m) - _psi(_K) + math.log(2) + _log(distance).mean(-1)


def log_density(at: Tensor, draws: Tensor) -> Tensor:
    """Return the log-density at some places of the law that each column is drawn from.

    log f = psi(k) - log m - log(2 e_k): nearly unbiased in the logarithm (Wang, Kulkarni & Verdú
    2009, sec. 3, doi:10.1109/TIT.2009.2016060).

    Parameters
    ----------
    at
        Shape ``(*s, d)``.
    draws
        Shape ``(m, d)``, m > 3.

    Returns
    -------
    Tensor
        Of ``at``'s shape.
    """
    m = len(draws)
    columns = []
    for place, column in zip(at.unbind(-1), draws.unbind(-1), strict=True):
        ordered = column.sort().values
        padding = torch.full_like(ordered[:_K], torch.inf)
        padded = torch.cat([-padding, ordered, padding])
        # The first of the k draws below a place, in ``padded``.
        first = torch.searchsorted(ordered, place.contiguous())
        window = first.unsqueeze(-1) + torch.arange(2 * _K, device=first.device)
        distance = (padded[window] - place.unsqueeze(-1)).abs()
        columns.append(_log(distance.kthvalue(_K, dim=-1).values))
    return _psi(_K) - math.log(m) - math.log(2) - torch.stack(columns, -1)


def _psi(n: int) -> float:
    """Return the digamma function at a whole number."""
    return float(torch.digamma(torch.tensor(float(n), dtype=torch.float64)))


def _log(distance: Tensor) -> Tensor:
    return torch.log(distance.clamp(min=torch.finfo(distance.dtype).tiny))
