"""The training step: a Pyro program run once, kept as a tensor graph, compiled.

Pyro's effect handlers cost about as much as the arithmetic of a small VAE, in every step, for the
same result in every step. So the program is run once under
:func:`torch.fx.experimental.proxy_tensor.make_fx`, which keeps the tensor operations alone:
minibatch gather, forward pass, gradients and Adam. ``torch.compile`` then fuses that graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx

from pyrovae.datasets.base import as_float
from pyrovae.objectives import Objective, terms, trace_pair
from pyrovae.training import adam
from pyrovae.training.noise import Draw, Recorder, Supply, draw_one
from pyrovae.training.params import OwnParams

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class State:
    """Everything that a step changes, and the buffers that it reads."""

    params: Tensors
    moments: tuple[Tensors, Tensors]
    buffers: Tensors

    @classmethod
    def of(cls, module: nn.Module) -> State:
        """Return the state before the first step, with copies of the module's tensors."""
        params = {name: p.detach().clone() for name, p in module.named_parameters()}
        buffers = {name: b.detach().clone() for name, b in module.named_buffers()}
        return cls(params=params, moments=adam.init(params), buffers=buffers)

    def write_to(self, module: nn.Module) -> None:
        """Copy the parameters into the module."""
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(self.params[name])


class LossProgram(nn.Module):
    """A model, a guide and an objective as one function of parameters, data and noise.

    Parameters
    ----------
    vae
        Has ``model`` and ``guide``, Pyro callables of the observations.
    objective
        What is minimised.
    """

    def __init__(self, vae: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.vae = vae
        self._objective = objective

    def forward(self, x: Tensor, hyper: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the loss and the batch means of (distortion, rate), in nats per datum."""
        model: Callable[..., Any] = self.vae.model  # type: ignore[assignment]
        guide: Callable[..., Any] = self.vae.guide  # type: ignore[assignment]
        with OwnParams():
            parts = terms(*trace_pair(model, guide, x))
        loss = self._objective.loss(parts, hyper)
        return loss, torch.stack([parts.distortion.mean(), parts.rate.mean()])

    def record(self, x: Tensor) -> list[Draw]:
        """Return the draws of noise that one evaluation makes."""
        with Recorder() as recorder, torch.no_grad():
            self(x, self.hyper(0))
        return recorder.draws

    def hyper(self, step: int) -> Tensors:
        """Return the objective's scalars at a step, as 0-d tensors."""
        return {k: torch.tensor(v) for k, v in self._objective.hyperparameters(step).items()}

    def gradients(
        self,
        params: Tensors,
        buffers: Tensors,
        x: Tensor,
        noise: Sequence[Tensor],
        hyper: Mapping[str, Tensor],
    ) -> tuple[Tensors, Tensor]:
        """Return the gradient for each parameter, and (loss, distortion, rate)."""

        def loss_of(values: Tensors) -> tuple[Tensor, Tensor]:
            with Supply(noise):
                return functional_call(self, (values, buffers), (x, hyper))

        grads, (loss, parts) = grad_and_value(loss_of, has_aux=True)(params)
        return grads, torch.cat([loss.unsqueeze(0), parts])

    def step(
        self,
        params: Tensors,
        moments: tuple[Tensors, Tensors],
        buffers: Tensors,
        count: Tensor,
        lr: Tensor,
        data: Tensor,
        index: Tensor,
        noise: list[Tensor],
        hyper: Tensors,
    ) -> tuple[Tensors, tuple[Tensors, Tensors], Tensor]:
        """Do one step of Adam on the minibatch ``data[index]``.

        Returns
        -------
        params, moments
            After the step.
        values
            (loss, distortion, rate) before it, shape ``(3,)``, nats per datum.
        """
        x = as_float(data[index])
        grads, values = self.gradients(params, buffers, x, noise, hyper)
        params, moments = adam.update(params, grads, moments, count, lr)
        return params, moments, values


StepFunction = Callable[..., tuple[Tensors, tuple[Tensors, Tensors], Tensor]]


def trace_step(
    program: LossProgram, data: Tensor, batch_size: int, draws: Sequence[Draw]
) -> torch.fx.GraphModule:
    """Run one step under ``make_fx`` and return its graph; no Pyro code is left in it.

    Parameters
    ----------
    program
        The loss program.
    data
        The training set; the graph is specialised to its shape and type.
    batch_size
        Indices a step.
    draws
        From :meth:`LossProgram.record`.
    """
    state = State.of(program)
    # Pyro's argument checks read values out of tensors, which a graph cannot hold.
    with pyro.validation_enabled(False):
        # make_fx counts a bound method's arguments wrongly; a plain function it can take.
        return make_fx(lambda *args: program.step(*args))(
            state.params,
            state.moments,
            state.buffers,
            torch.tensor(1.0),
            torch.tensor(1e-3),
            data,
            torch.zeros(batch_size, dtype=torch.long),
            [draw_one(draw, generator=None) for draw in draws],
            program.hyper(0),
        )


def compile_step(graph: torch.fx.GraphModule) -> StepFunction:
    """Return the graph compiled by inductor, or the graph itself where that cannot work.

    Inductor needs a C++ compiler when the program runs. Without one, the graph is run operation by
    operation; the numbers agree within float tolerance.
    """
    compiled = torch.compile(graph, fullgraph=True, dynamic=False)
    tried = False

    def step(*args: Any) -> Any:
        nonlocal compiled, tried
        if tried:
            return compiled(*args)
        tried = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # inductor's own deprecations
                return compiled(*args)
        except (torch._dynamo.exc.BackendCompilerFailed, torch._inductor.exc.InductorError) as why:
            reason = str(why).strip().split("\n")[0]
            warnings.warn(
                f"torch.compile is not usable here, training runs uncompiled: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
            compiled = graph
            return graph(*args)

    return step
