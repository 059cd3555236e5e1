"""Adam as a function, so that it can be part of a traced graph.

``torch.optim.Adam`` keeps its state in Python objects and counts its steps there; inside a graph,
and for many models stacked along a batch dimension, the state has to go in and come out.
"""

from __future__ import annotations

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def init(params: Tensors) -> tuple[Tensors, Tensors]:
    """Return the first and second moments before the first step: zeros."""
    return (
        {name: torch.zeros_like(p) for name, p in params.items()},
        {name: torch.zeros_like(p) for name, p in params.items()},
    )


def update(
    params: Tensors,
    grads: Tensors,
    moments: tuple[Tensors, Tensors],
    step: Tensor,
    lr: Tensor,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensors, tuple[Tensors, Tensors]]:
    """Do one step of Adam (Kingma & Ba 2015, algorithm 1; arXiv:1412.6980).

    Parameters
    ----------
    params, grads, moments
        By parameter name.
    step
        Number of this step, from 1; 0-d float.
    lr
        Learning rate; 0-d float.

    Returns
    -------
    params, moments
        After the step.
    """
    first, second = moments
    new: Tensors = {}
    new_first: Tensors = {}
    new_second: Tensors = {}
    correct1, correct2 = 1 - betas[0] ** step, 1 - betas[1] ** step
    for name, g in grads.items():
        m = torch.lerp(first[name], g, 1 - betas[0])
        v = betas[1] * second[name] + (1 - betas[1]) * g * g
        new[name] = params[name] - lr / correct1 * m / ((v / correct2).sqrt() + eps)
        new_first[name], new_second[name] = m, v
    return new, (new_first, new_second)
