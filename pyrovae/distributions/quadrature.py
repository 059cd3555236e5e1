"""Expectations of smooth functions under one-dimensional laws, by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

#: Nodes of a rule: exact for polynomials of degree 2 n - 1.
_NODES = 24


def expectation(q: Distribution, function: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Return E_q[function(z)], or ``None`` for a law without a rule.

    Gauss-Hermite for normal laws, Gauss-Laguerre on both sides for Laplace laws (Abramowitz &
    Stegun 1964, 25.4.45-46).

    Parameters
    ----------
    q
        Laws of single numbers, batch ``b``.
    function
        ``(nodes, *b) -> (nodes, *b)``.

    Returns
    -------
    Tensor or None
        Shape ``b``.
    """
    if isinstance(q, Normal):
        nodes, weights = _hermite()
    elif isinstance(q, Laplace):
        nodes, weights = _laguerre()
    else:
        return None
    shape = (-1, *(1 for _ in q.batch_shape))
    nodes, weights = nodes.to(q.loc).view(shape), weights.to(q.loc).view(shape)
    return (weights * function(q.loc + q.scale * nodes)).sum(0)


@cache
def _hermite() -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


@cache
def _laguerre() -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.laguerre.laggauss(_NODES)
    both = np.concatenate([-nodes[::-1], nodes])
    return torch.from_numpy(both), torch.from_numpy(np.concatenate([weights[::-1], weights]) / 2)
