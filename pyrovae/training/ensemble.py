"""Several models of one program as one: their tensors stacked, their step vectorised.

The losses of the members do not depend on each other, so the gradient of all is each one's own and
a step of the optimiser on stacked parameters is its step on each. What differs between members
(parameters, minibatch, noise, learning rate, the objective's scalars, number of the step) is an
input with a leading dimension; the data set is shared. One call then does the work of many small
ones, which pays where calls are dear: on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from pyrovae.training.descent import Descent
from pyrovae.training.step import LossProgram, StepFunction

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


def many(tree: Any, size: int, device: torch.device) -> Any:
    """Return copies on a device of one model's tensors, :func:`stacked` as for ``size`` models."""
    if size == 1:
        return tree_map(lambda tensor: tensor.to(device, copy=True), tree)
    return tree_map(lambda tensor: tensor.to(device).expand(size, *tensor.shape).clone(), tree)


def step_of(
    program: LossProgram,
    size: int,
    data_size: int | None = None,
    descent: Descent | None = None,
) -> StepFunction:
    """Return :meth:`LossProgram.step` for ``size`` models, whose tensors are :func:`stacked`.

    ``descent`` is that of the step, by default Adam.
    """
    step = partial(program.step, data_size=data_size, descent=descent or Descent())
    return step if size == 1 else torch.func.vmap(step, in_dims=_DIMS)
