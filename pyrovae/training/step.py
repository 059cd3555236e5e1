"""The training step: a Pyro program run once, kept as a tensor graph, compiled.

Pyro's effect handlers cost about as much as the arithmetic of a small VAE, in every step, for the
same result in every step. So the program is run once under
:func:`torch.fx.experimental.proxy_tensor.make_fx`, which keeps the tensor operations alone:
minibatch gather, forward pass, gradients and optimiser. ``torch.compile`` then fuses that graph.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
import pyro
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx

from pyrovae.core.alone import alone
from pyrovae.core.digest import short_digest
from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, Given, beside, observed
from pyrovae.core.measuring import buffers_written, in_mode
from pyrovae.core.noise import Draw, Recorder, Supply
from pyrovae.core.params import OwnParams
from pyrovae.core.scheduled import Scheduled
from pyrovae.datasets.base import as_float
from pyrovae.models.contract import LatentModel
from pyrovae.objectives import Objective
from pyrovae.objectives.base import EXPECTATIONS
from pyrovae.training.descent import Descent
from pyrovae.training.optimizers import Moments, Tensors

#: Operations of the largest step that is compiled. Of all pairs of a prior and a posterior, with
#: their default parameters, one has more: ``flow`` with ``semi_amortized``, whose ascent unrolls
#: the flow's derivatives. The others have up to 3,100; a step of 1,600 takes one core a minute.
MOST_NODES = 5000
#: Seconds that a process waits for another which compiles the same step.
_PATIENCE = 300.0
#: What is done where nothing else is asked for.
_ADAM = Descent()


class State(NamedTuple):
    """Everything that a step changes, and what it reads.

    ``buffers`` also has the frozen parameters; a step writes only some of them
    (:attr:`LossProgram.written`).
    """

    params: Tensors
    moments: Moments
    buffers: Tensors

    @classmethod
    def of(cls, module: LossProgram, descent: Descent = _ADAM) -> State:
        """Return the state before the first step, with copies of the module's tensors."""
        params = {n: p.detach().clone() for n, p in module.named_parameters() if p.requires_grad}
        fixed = {n: p for n, p in module.named_parameters() if not p.requires_grad}
        read = dict(module.named_buffers()) | fixed
        buffers = {name: tensor.detach().clone() for name, tensor in read.items()}
        return cls(params=params, moments=descent.start(module, params), buffers=buffers)

    def write_to(self, module: nn.Module) -> None:
        """Copy the parameters, and the buffers that are there, into the module."""
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name in self.params:
                    parameter.copy_(self.params[name])
            for name, buffer in module.named_buffers():
                if name in self.buffers:
                    buffer.copy_(self.buffers[name])


class LossProgram(nn.Module):
    """A model, a guide and an objective as one function of parameters, data and noise.

    Parameters
    ----------
    vae
        Has ``model`` and ``guide``, Pyro callables of the observations.
    objective
        What is minimised.
    binary
        Whether what is trained on is drawn anew in each step, 1 with the probability that the data
        hold (``binarize: dynamic``).

    Attributes
    ----------
    written
        Names of the buffers that a training step writes (running statistics, say), as far as
        :meth:`record` has seen: the step carries them from one to the next.
    """

    def __init__(self, vae: LatentModel, objective: Objective, *, binary: bool = False) -> None:
        super().__init__()
        self.binary = binary
        self.vae = vae
        self.objective = objective
        if vae.classes is not None and not objective.needs >= EXPECTATIONS:
            raise ConfigError(
                "needs draws that have derivatives, and codes of labels have none: objectives made "
                "of means of distortion and rates (elbo, beta, annealed, capacity, free_bits, "
                "delta) take them",
                "objective",
            )
        objective.prepare(vae)
        self.written: tuple[str, ...] = ()
        self._scheduled = [
            (f"vae.{place}.", part)
            for place, part in vae.named_modules()
            if isinstance(part, Scheduled)
        ]

    def forward(
        self, x: Data, hyper: Mapping[str, Tensor], data_size: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the batch means of (distortion, rate), in nats per datum.

        ``data_size`` is that of the training set that ``x`` is a minibatch of; by default ``x`` is
        all there is.
        """
        x = beside(torch.bernoulli(observed(x)), x) if self.binary else x
        with OwnParams():
            loss, parts = self.objective(self.vae, x, hyper, data_size or len(x))
        return loss, torch.stack([parts.distortion.mean(), parts.rate.mean()])

    def record(self, x: Data) -> list[Draw]:
        """Return the draws of noise that one evaluation in training makes.

        What it writes meanwhile is put back, and remembered in :attr:`written`.
        """
        with in_mode(self, training=True), Recorder() as recorder:
            written = buffers_written(
                self, lambda buffers: functional_call(self, buffers, (x, self.hyper(0)))
            )
        scheduled = self._numbers(0)
        self.written = tuple(name for name in written if name not in scheduled)
        return recorder.draws

    def hyper(self, step: int) -> Tensors:
        """Return what changes with the step, as 0-d tensors; see :meth:`hypers`."""
        return {name: row[0] for name, row in self.hypers(range(step, step + 1)).items()}

    def hypers(self, steps: Sequence[int]) -> Tensors:
        """Return what changes with the step, ``(len(steps),)`` each.

        These are the objective's scalars, ``guide.count``, ``guide.on``, ``guide.lr`` and so on for
        each group of parameters that it updates in its own way, and the model's own numbers by the
        names of their buffers.
        """
        rows = [self._scalars(step) for step in steps]
        return {name: torch.tensor([float(row[name]) for row in rows]) for name in rows[0]}

    def _scalars(self, step: int) -> dict[str, float]:
        scalars = self.objective.hyperparameters(step) | self._numbers(step)
        for group, update in self.objective.groups(step).items():
            scalars[f"{group}.count"] = float(update.count)
            scalars[f"{group}.on"] = float(update.on)
            if update.lr is not None:
                scalars[f"{group}.lr"] = update.lr
        return scalars

    def _numbers(self, step: int) -> dict[str, float]:
        return {
            place + name: value
            for place, part in self._scheduled
            for name, value in part.numbers(step).items()
        }

    def stand_at(self, step: int) -> None:
        """Give the model's scheduled numbers their values at a step, in place."""
        buffers = dict(self.named_buffers())
        for name, value in self._numbers(step).items():
            buffers[name].fill_(value)

    def group(self, name: str) -> str:
        """Return the group of a parameter: ``guide``, ``model`` or ``objective``."""
        part, _, inner = name.partition(".")
        if part == "objective":
            return part
        return "guide" if self.vae.is_guide_parameter(inner) else "model"

    def gradients(
        self,
        params: Tensors,
        buffers: Tensors,
        x: Data,
        noise: Sequence[Tensor],
        hyper: Mapping[str, Tensor],
        data_size: int,
    ) -> tuple[Tensors, Tensors, Tensor]:
        """Return gradients, the buffers :attr:`written`, and (loss, distortion, rate)."""
        buffers = {
            name: hyper[name].to(buffer).expand_as(buffer) if name in hyper else buffer
            for name, buffer in buffers.items()
        }

        def loss_of(values: Tensors) -> tuple[Tensor, tuple[Tensor, Tensors]]:
            # A buffer is written in place or replaced: the copies that are made here take both.
            tensors = values | buffers | {name: buffers[name].clone() for name in self.written}
            with Supply(noise):
                loss, parts = functional_call(self, tensors, (x, hyper, data_size))
            return loss, (parts, {name: tensors[name].detach() for name in self.written})

        with in_mode(self, training=True):
            grads, (loss, (parts, after)) = grad_and_value(loss_of, has_aux=True)(params)
        return grads, after, torch.cat([loss.unsqueeze(0), parts])

    def step(
        self,
        params: Tensors,
        moments: Moments,
        buffers: Tensors,
        count: Tensor,
        lr: Tensor,
        data: Tensor | dict[str, Tensor],
        index: Tensor,
        noise: list[Tensor],
        hyper: Tensors,
        data_size: int | None = None,
        descent: Descent = _ADAM,
    ) -> tuple[Tensors, Moments, Tensors, Tensor]:
        """Do one step on the minibatch ``data[index]``; ``descent`` says which.

        ``data_size`` is that of the training set; by default ``data`` is all of it. Data with a
        context are ``x`` and ``context`` by name.

        Returns
        -------
        params, moments
            After the step.
        buffers
            Those :attr:`written`, after the step.
        values
            (loss, distortion, rate) before it, shape ``(3,)``, nats per datum.
        """
        if isinstance(data, dict):
            x: Data = as_float(Given(data["x"][index], data["context"][index]))
            size = data_size or len(data["x"])
        else:
            x, size = as_float(data[index]), data_size or len(data)
        grads, after, values = self.gradients(params, buffers, x, noise, hyper, size)
        params, moments = descent.update(self, params, grads, moments, count, lr, hyper)
        return params, moments, after, values


StepFunction = Callable[..., tuple[Tensors, Moments, Tensors, Tensor]]


def trace(function: Callable[..., Any], *arguments: Any) -> torch.fx.GraphModule:
    """Run a function of tensors under ``make_fx`` and return its graph; no Pyro code is left in it.

    The graph is specialised to the arguments' shapes, types and device.
    """
    # Pyro's argument checks read values out of tensors, which a graph cannot hold.
    with pyro.validation_enabled(False):
        # make_fx counts a bound or wrapped function's arguments wrongly; a plain one it can take.
        return make_fx(lambda *args: function(*args))(*arguments)


def use_persistent_cache() -> None:
    """Keep compiled steps in the user's cache, so that another process need not compile them.

    Unless the environment says where inductor's cache is.
    """
    folder = Path(platformdirs.user_cache_dir("pyrovae")) / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")
    os.environ.setdefault("TORCHINDUCTOR_AUTOGRAD_CACHE", "1")


def _lock_of(graph: torch.fx.GraphModule) -> Path:
    """Return the file that stands for compiling a graph: who waits for it finds it in the cache."""
    folder = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR") or tempfile.gettempdir())
    shapes = [str(node.meta.get("tensor_meta")) for node in graph.graph.nodes]
    return folder / f"{short_digest(graph.code + str(shapes))}.lock"


def compile_step(graph: torch.fx.GraphModule) -> StepFunction:
    """Return the graph compiled by inductor, or the graph itself where that cannot work or pay.

    Inductor needs a C++ compiler when the program runs, and its time grows faster than the graph.
    Without a compiler, and beyond :data:`MOST_NODES`, the graph is run operation by operation, and
    a warning says so; the numbers agree within float tolerance.
    """
    size = len(graph.graph.nodes)
    if size > MOST_NODES:
        warnings.warn(
            f"a training step of {size} operations would take minutes to compile: training runs "
            "uncompiled",
            RuntimeWarning,
            stacklevel=2,
        )
        return graph
    compiled = torch.compile(graph, fullgraph=True, dynamic=False)
    tried = False

    def step(*args: Any) -> Any:
        nonlocal compiled, tried
        if tried:
            return compiled(*args)
        tried = True
        try:
            with alone(_lock_of(graph), _PATIENCE), warnings.catch_warnings():
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
