"""A training step tried on a few data: what cannot be trained is refused by name, before it is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import chain
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from pyrovae.core.errors import ConfigError, first_line
from pyrovae.core.given import Data
from pyrovae.core.measuring import untouched
from pyrovae.core.noise import draw_one
from pyrovae.training.optimizers import OPTIMIZERS, Optimizer
from pyrovae.training.step import LossProgram, State, trace

_BUFFER = "make it a buffer (register_buffer), which each step takes from the last"


def rehearse(program: LossProgram, x: Data) -> None:
    """Trace the gradients of a program, and leave it as it was.

    Parameters
    ----------
    program
        Ready to be trained.
    x
        Some observations ``(n, *event_shape)``.

    Raises
    ------
    ConfigError
        If the program cannot run, writes what a step does not carry to the next, decides by the
        values of its tensors, or draws what a seed cannot repeat.
    """
    with untouched(program), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about what is refused below
        before = _values(program)
        try:
            draws = program.record(x)
            _check_writes(program, before)
            _check_buffers(program)
            state = State.of(program)
            noise = [draw_one(draw, torch.Generator().manual_seed(0)) for draw in draws]
            hyper = program.hyper(0)
            graph = trace(program.gradients, state.params, state.buffers, x, noise, hyper, len(x))
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(_told(program, error)) from error
    _check_draws(graph)


def rehearse_optimizer(part: Mapping[str, Any]) -> None:
    """Make an optimiser, and trace a step of one that is not this package's on a few numbers.

    Parameters
    ----------
    part
        ``{"name": …, **parameters}``.

    Raises
    ------
    ConfigError
        If it refuses its parameters, or cannot do a step that a graph can hold.
    """
    who = f"optimizer '{part['name']}'"
    try:
        optimizer: Optimizer = OPTIMIZERS.create(**part)
        if type(optimizer).__module__.partition(".")[0] == __name__.partition(".")[0]:
            return
        params = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
        moments = optimizer.start(params)
        one = torch.tensor(1.0)
        graph = trace(optimizer.update, params, params, moments, one, one)
        moved, remembered = graph(params, params, moments, one, one)
        forms = [(moved, params), *((remembered[slot], moments[slot]) for slot in optimizer.slots)]
        kept = all({n: t.shape for n, t in new.items()} == {n: t.shape for n, t in old.items()}
                   for new, old in forms)  # fmt: skip
    except ConfigError:
        raise
    except Exception as error:
        text = first_line(error)
        if "_local_scalar_dense" in text or "data-dependent" in text.lower():
            text = (
                "reads a number out of a tensor (float(), .item(), if), which a graph cannot hold"
            )
            raise ConfigError(f"{who} {text}") from error
        raise ConfigError(f"{who}: its first step fails: {type(error).__name__}: {text}") from error
    if not kept:
        raise ConfigError(
            f"{who} gives parameters or moments of other names or shapes than it takes"
        )


def _values(program: nn.Module) -> dict[str, object]:
    """Return copies of parameters and of modules' plain attributes, by their dotted paths."""
    found: dict[str, object] = {n: p.detach().clone() for n, p in program.named_parameters()}
    for place, module in program.named_modules():
        # What a hook (torch's older weight and spectral norm) computes anew is no state.
        made = {
            getattr(hook, "name", "")
            for hook in chain(module._forward_pre_hooks.values(), module._forward_hooks.values())
        }
        for name, value in vars(module).items():
            if isinstance(value, (bool, int, float, Tensor)) and name not in made:
                kept = value.detach().clone() if isinstance(value, Tensor) else value
                found[f"{place}.{name}".strip(".")] = kept
    return found


def _check_writes(program: LossProgram, before: dict[str, object]) -> None:
    parameters = dict(program.named_parameters())
    for path, old in before.items():
        place, _, name = path.rpartition(".")
        new = parameters.get(path, vars(program.get_submodule(place)).get(name))
        if _same(old, new):
            continue
        if path in parameters:
            raise ConfigError(
                f"a forward pass writes the parameter '{_shown(path)}': constrain it instead "
                "(torch.nn.utils.parametrize, or PyroParam)"
            )
        raise ConfigError(f"a forward pass changes the attribute '{_shown(path)}': {_BUFFER}")


def _same(old: object, new: object) -> bool:
    if isinstance(old, Tensor):
        return isinstance(new, Tensor) and old.shape == new.shape and torch.equal(old, new)
    return type(old) is type(new) and old == new


def _check_buffers(program: LossProgram) -> None:
    for path in program.written:
        place, _, name = path.rpartition(".")
        if name in program.get_submodule(place)._non_persistent_buffers_set:
            raise ConfigError(
                f"a forward pass writes the buffer '{_shown(path)}', which is not persistent: it "
                "would be lost with the stored model; register it with persistent=True"
            )


def _check_draws(graph: torch.fx.GraphModule) -> None:
    for node in graph.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise ConfigError(
                f"draws by '{node.target.overloadpacket.__name__}', which the run's seed cannot "
                "repeat: what training draws must be made of normal, uniform or exponential noise "
                "(distributions with such an rsample, nn.Dropout, torch.bernoulli)"
            )


def _told(program: nn.Module, error: Exception) -> str:
    """Return what failed, and in which layer."""
    layer = _innermost(program, error.__traceback__)
    where = f"in its layer '{layer}' " if layer else ""
    text = str(error)
    if "_local_scalar_dense" in text or "data-dependent" in text.lower():
        return (
            f"{where}reads a number out of a tensor (float(), .item(), if): it would stand still "
            "after the first step; compute with the tensor (and give BatchNorm a momentum)"
        ).removeprefix(" ")
    if "in-place" in text and "captured" in text:
        return f"{where}writes a tensor within a derivative by the code: that cannot be trained"
    first = text.splitlines()[0] if text else ""
    return f"{where}its first step fails: {type(error).__name__}: {first}"


def _innermost(program: nn.Module, at: TracebackType | None) -> str:
    """Return the innermost of a program's modules that an exception came through."""
    names = {id(module): name for name, module in program.named_modules()}
    found = ""
    while at is not None:
        found = names.get(id(at.tb_frame.f_locals.get("self")), "") or found
        at = at.tb_next
    return _shown(found) if found not in ("", "vae", "objective") else ""


def _shown(path: str) -> str:
    return path.removeprefix("vae.").removeprefix("parts.")
