"""Measures *given* a context: each datum against others of the same context.

What a code says of x given c is what differs among data of one c. So variances of posterior means,
mixtures of posteriors and codes that a unit is replaced by are taken from data of the same context.
Where fewer than :data:`NEAR` others have it, as with real covariates, the :data:`NEAR` nearest ones
in the context's own (standardised) coordinates stand for them: a kernel of so many neighbours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyrovae.core.given import Given

#: Others that stand for the data of a context.
NEAR = 8
#: Rows of distances at a time.
_CHUNK = 500


def partners(context: Tensor, k: int = NEAR) -> Tensor:
    """Return ``k`` other data for each datum, of its context or of the nearest ones: ``(n, k)``.

    Drawn at random, without repetition where there are so many. The global generator is used.

    Parameters
    ----------
    context
        ``(n, size)``, n > 1.
    k
        At most :data:`NEAR`.
    """
    n = len(context)
    _, group, counts = context.unique(dim=0, return_inverse=True, return_counts=True)
    found = torch.empty(n, k, dtype=torch.long, device=context.device)
    large = (counts > NEAR).nonzero().flatten().tolist()
    for g in large:
        members = (group == g).nonzero().flatten()
        order = members[torch.randperm(len(members), device=context.device)]
        # Around a circle, one further each time.
        found[order] = torch.stack([order.roll(i + 1) for i in range(k)], -1)
    rest = (counts[group] <= NEAR).nonzero().flatten()
    for rows in rest.split(_CHUNK):
        near = _nearest(context, rows)
        places = torch.rand(near.shape, device=context.device).argsort(1)
        wanted = torch.arange(k, device=context.device) % near.shape[1]
        found[rows] = near.gather(1, places[:, wanted])
    return found


def same(context: Tensor, rows: Tensor) -> Tensor:
    """Return which data stand for the context of each of some rows, ``(len(rows), n)``.

    A datum is among its own.
    """
    _, group, counts = context.unique(dim=0, return_inverse=True, return_counts=True)
    found = group[rows].unsqueeze(1) == group
    few = counts[group[rows]] <= NEAR
    if few.any():
        near = _nearest(context, rows[few])
        found[few] = torch.zeros_like(found[few]).scatter_(1, near, True)
        found[few, rows[few]] = True
    return found


def _nearest(context: Tensor, rows: Tensor) -> Tensor:
    """Return the nearest others of some rows, ``(len(rows), min(NEAR, n - 1))``."""
    exact = context.double()
    distance = torch.cdist(exact[rows], exact, compute_mode="donot_use_mm_for_euclid_dist")
    distance[torch.arange(len(rows), device=rows.device), rows] = torch.inf
    return distance.topk(min(NEAR, len(context) - 1), largest=False).indices


def half_differences(values: Tensor, context: Tensor) -> Tensor:
    """Return (values - those of partners) / sqrt(2), ``(n, NEAR, d)``: centred on 0 given c.

    The mean of their squares is the variance given c, without bias where partners share a context:
    half the mean squared difference of two draws is their variance.
    """
    return (values.unsqueeze(1) - values[partners(context)]) / 2**0.5


def others(data: Any, n: int, device: torch.device) -> Tensor:
    """Return another datum for each of ``n``, whose code replaces its own: ``(n,)``.

    Any other, but of the same context where data have one.
    """
    if isinstance(data, Given):
        return partners(data.context, 1).squeeze(1)
    # Around a circle in random order: nobody keeps its own, and data may come sorted.
    order = torch.randperm(n, device=device)
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other
