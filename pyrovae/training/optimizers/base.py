"""An optimiser as a function, so that it can be part of a traced graph.

Those of ``torch.optim`` keep their state in Python objects and count their steps there; inside a
graph, and for many models stacked along a batch dimension, the state has to go in and come out.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pyrovae.core.registry import Registry

#: By parameter name.
Tensors = dict[str, Tensor]
#: What an optimiser remembers, by what it is (``"first"``: first moments) and parameter name.
Moments = dict[str, Tensors]

#: Decay rates of two moving averages.
Betas = Annotated[
    list[Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]],
    Field(min_length=2, max_length=2),
]
#: What keeps a denominator from 0.
Eps = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: Strength of the pull to 0.
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Optimizer:
    """Base of the optimisers; most implement :meth:`update` alone.

    What is done is traced into the training step, alone and under ``torch.func.vmap``: tensor
    operations only, without ``.item()`` and without writing in place. Numbers of the constructor
    are constants of the step.
    """

    #: What is remembered of each parameter from step to step.
    slots: ClassVar[tuple[str, ...]] = ()

    def start(self, params: Tensors) -> Moments:
        """Return what is remembered before the first step; by default zeros for each slot."""
        return {
            slot: {name: torch.zeros_like(p) for name, p in params.items()} for slot in self.slots
        }

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step.

        Parameters
        ----------
        params, grads
            Of a group of parameters that have the same learning rate.
        moments
            As :meth:`start` and earlier steps left them.
        step
            Number of this step, from 1; 0-d float.
        lr
            Learning rate; 0-d float.
        """
        raise NotImplementedError

    def update_in_place(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """As :meth:`update`, of one model on a CPU; what is given may be written to and returned.

        For an optimiser that has a kernel which does all of it at once.
        """
        return self.update(params, grads, moments, step, lr)


class Averaging(Optimizer):
    """Base of those that remember two moving averages: Adam and its kin."""

    def __init__(
        self,
        *,
        betas: Betas = [0.9, 0.999],  # noqa: B006 - never changed
        eps: Eps = 1e-8,
        weight_decay: Decay = 0.0,
    ) -> None:
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay


def with_decay(params: Tensors, grads: Tensors, decay: float) -> Tensors:
    """Return the gradients of a loss to which decay / 2 times the squared norm is added."""
    if decay == 0:
        return grads
    return {name: g + decay * params[name] for name, g in grads.items()}


#: Optimisers by name: classes whose constructors take nothing but the user's parameters.
OPTIMIZERS: Registry = Registry(
    "optimizer",
    Optimizer,
    groups={
        "Adaptive": ("adam", "adamw", "adamax", "adam_norm_grad"),
        "Plain": ("sgd",),
    },
)
