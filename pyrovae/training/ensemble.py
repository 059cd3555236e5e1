"""Several models of one program as one: their tensors stacked, their step vectorised.

The losses of the members do not depend on each other, so the gradient of all is each one's own and
Adam on stacked parameters is Adam on each. What differs between members (parameters, minibatch,
noise, learning rate, the objective's scalars, number of the step) is an input with a leading
dimension; the data set is shared. One call then does the work of many small ones, which pays where
calls are dear: on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_map

from pyrovae.training.noise import Draw, draw_one
from pyrovae.training.step import LossProgram, State, trace_step

#: Which of the step's arguments have a member dimension: all but the data set.
_DIMS = (0, 0, 0, 0, 0, None, 0, 0, 0)


def stacked(trees: Sequence[Any], dim: int = 0) -> Any:
    """Return the members' tensors as one structure with a dimension ``dim`` for the member.

    A single member's tensors are returned as they are: alone, a model has no such dimension.
    """
    if len(trees) == 1:
        return trees[0]
    return tree_map(lambda *tensors: torch.stack(tensors, dim), *trees)


def member(tree: Any, i: int, size: int) -> Any:
    """Return member ``i`` of what :func:`stacked` made of ``size`` members, as views."""
    return tree if size == 1 else tree_map(lambda tensor: tensor[i], tree)


def trace_ensemble(
    program: LossProgram, data: Tensor, batch_size: int, draws: Sequence[Draw], size: int
) -> torch.fx.GraphModule:
    """Return the graph of one step of ``size`` models; see :func:`~pyrovae.training.trace_step`.

    Its arguments and results are those of :meth:`LossProgram.step`, :func:`stacked`.
    """
    with torch.device(data.device):
        if size == 1:
            return trace_step(program, data, batch_size, draws)
        state = State.of(program)
        one = (
            state.params,
            state.moments,
            state.buffers,
            torch.tensor(1.0),
            torch.tensor(1e-3),
            torch.zeros(batch_size, dtype=torch.long),
            [draw_one(draw, generator=None) for draw in draws],
            program.hyper(0),
        )
        *before, index, noise, hyper = tree_map(
            lambda tensor: tensor.to(data.device).expand(size, *tensor.shape).clone(), one
        )
        together = torch.func.vmap(lambda *args: program.step(*args), in_dims=_DIMS)
        # Pyro's argument checks read values out of tensors, which a graph cannot hold.
        with pyro.validation_enabled(False):
            # make_fx counts the arguments of a wrapped function wrongly; a plain one it can take.
            return make_fx(lambda *args: together(*args))(*before, data, index, noise, hyper)
