"""Many steps in a row, on tensors that stay where they are.

A step as a function returns new parameters; here they take the old ones' place, and a step's inputs
are rows of tensors that hold those of many steps. So nothing is left for Python to do between two
steps but to start the next, and on a GPU not even that costs anything: the step is captured once as
a CUDA graph and replayed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map, tree_map_

from pyrovae.training.lean import lean, without_idle
from pyrovae.training.step import State, StepFunction, compile_step, trace

#: Runs before a capture: kernels are compiled and libraries make their work space.
_WARM_UP = 3


class Stepper:
    """Does steps of one program; see :meth:`pyrovae.training.LossProgram.step`.

    Parameters
    ----------
    step
        Is traced here, and what it finds at that time (of contexts, say) stays.
    state
        Of the shapes that it takes; its tensors are taken over and overwritten.
    inputs
        Count, learning rate, indices, noise and hyperparameters of as many steps as are done at a
        time, ``(n, …)`` each; overwritten too.
    data
        The training set; with a context, ``x`` and ``context`` by name.
    compiled
        Whether the step is compiled.

    Attributes
    ----------
    state
        After the last step that was asked for.
    """

    def __init__(
        self,
        step: StepFunction,
        state: State,
        inputs: Any,
        data: Tensor | dict[str, Tensor],
        *,
        compiled: bool,
    ) -> None:
        self.state, self._inputs = state, inputs
        device = (data["x"] if isinstance(data, dict) else data).device
        self._row = torch.zeros(1, dtype=torch.long, device=device)
        # Loss, distortion and rate of each step, and of each member.
        self._told = torch.zeros((*inputs[0].shape, 3), device=device)
        arguments = (*state, data, inputs, self._row, self._told)
        act = _in_place(step)
        if compiled:
            run = compile_step(trace(act, *arguments))
        else:
            run = without_idle(trace(lean(act), *arguments))
        self._run: Callable[[], Any] = lambda: run(*arguments)
        if device.type == "cuda":
            self._run = _captured(self._run)

    def load(self, state: State) -> None:
        """Go on from ``state``, on whichever device it is."""
        tree_map_(lambda place, tensor: place.copy_(tensor), self.state, state)

    def advance(self, inputs: Any, n: int) -> Tensor:
        """Do ``n`` steps; return their (loss, distortion, rate), which the next call overwrites.

        On a GPU this returns before they are done.
        """
        tree_map_(lambda place, rows: place[:n].copy_(rows), self._inputs, inputs)
        self._row.zero_()
        for _ in range(n):
            self._run()
        return self._told[:n]


def _in_place(step: StepFunction) -> Callable[..., None]:
    """Return a step that takes its inputs from the current row and leaves its results in place."""

    def act(
        params: Any,
        moments: Any,
        buffers: Any,
        data: Any,
        inputs: Any,
        row: Tensor,
        told: Tensor,
    ) -> None:
        # The row is a tensor, as a captured step does the same to the same tensors each time.
        now = tree_map(lambda rows: rows.index_select(0, row).squeeze(0), inputs)
        count, lr, index, noise, hyper = now
        new = step(params, moments, buffers, count, lr, data, index, noise, hyper)
        tree_map_(_put, (params, moments), new[:2])
        for name, tensor in new[2].items():
            buffers[name].copy_(tensor)
        told.index_copy_(0, row, new[3].unsqueeze(0))
        row.add_(1)

    return act


def _put(place: Tensor, tensor: Tensor) -> None:
    if tensor is not place:  # else an optimiser has written there itself
        place.copy_(tensor)


def _captured(run: Callable[[], Any]) -> Callable[[], Any]:
    """Return ``run`` as a CUDA graph, or as it is, with a warning, where it cannot be one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            run()
    except RuntimeError as why:
        warnings.warn(
            f"the training step cannot be captured as a CUDA graph: {str(why).splitlines()[0]}",
            RuntimeWarning,
            stacklevel=2,
        )
        return run
    return graph.replay
