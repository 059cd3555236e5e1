"""Looking at a model without touching it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pyro
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

P = ParamSpec("P")
R = TypeVar("R")

#: Modules (by id) that are watched already: an inner measure need not copy them again.
_watched: ContextVar[frozenset[int]] = ContextVar("watched", default=frozenset())


@contextmanager
def untouched(*models: nn.Module) -> Iterator[None]:
    """Put models and global state back, afterwards, to what they were before.

    Of the models that is each module's mode, parameters, buffers and plain attributes (numbers and
    tensors); of the global state the generators of torch on the CPU, NumPy and Python, and Pyro's
    parameter store. What is made meanwhile (a lazy layer's weights) stays.
    """
    modules = {id(m): m for model in models for m in model.modules()}
    before = _watched.get()
    kept = [_Kept(module) for key, module in modules.items() if key not in before]
    token = _watched.set(before | modules.keys())
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a user's
    store = pyro.get_param_store()
    try:
        with torch.random.fork_rng(devices=[]), store.scope(store.get_state()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        _watched.reset(token)
        for each in kept:
            each.put_back()


@contextmanager
def in_mode(*models: nn.Module, training: bool) -> Iterator[None]:
    """Put every module of some models in train or eval mode; afterwards each is in its own again.

    The attribute is set, ``train()`` is not called: a user's own may do more than that.
    """
    modes = [(m, m.training) for model in models for m in model.modules()]
    for module, _ in modes:
        module.training = training
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def measuring(*models: nn.Module) -> Iterator[None]:
    """Put models in eval mode, and leave no trace: see :func:`untouched`.

    Dropout is off, BatchNorm takes its running statistics and leaves them as they are; what a
    forward pass writes in spite of that, a counter say, is put back.
    """
    with untouched(*models), in_mode(*models, training=False):
        yield


def only_measures(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that measures: the modules that it is given are :func:`measuring`."""

    @wraps(function)
    def measure(*args: P.args, **kwargs: P.kwargs) -> R:
        with measuring(*(a for a in (*args, *kwargs.values()) if isinstance(a, nn.Module))):
            return function(*args, **kwargs)

    return measure


def buffers_written(module: nn.Module, run: Callable[[dict[str, Tensor]], Any]) -> tuple[str, ...]:
    """Return the names of the buffers that a run of a module writes.

    Parameters
    ----------
    module
        Whose buffers these are; it is :func:`untouched`.
    run
        Calls the module with the buffers that it is given, by
        :func:`torch.func.functional_call`.
    """
    before = {name: b.detach().clone() for name, b in module.named_buffers()}
    after = {name: b.clone() for name, b in before.items()}
    with untouched(module), torch.no_grad():
        run(after)
    changed = {name for name, b in before.items() if not torch.equal(b, after[name])}
    # A layer's mean may stay, by chance, when its variance changes: its buffers go together.
    layers = {name.rpartition(".")[0] for name in changed}
    return tuple(name for name in before if name.rpartition(".")[0] in layers)


class _Kept:
    """What a module held, its submodules apart."""

    def __init__(self, module: nn.Module) -> None:
        places: list[dict[str, Any]] = [module._parameters, module._buffers, vars(module)]
        self._held: list[tuple[dict[str, Any], str, Any, Tensor | None]] = [
            (place, name, value, value.detach().clone() if isinstance(value, Tensor) else None)
            for place in places
            for name, value in place.items()
            if isinstance(value, (bool, int, float))
            or (isinstance(value, Tensor) and not is_lazy(value) and not value.is_meta)
        ]

    def put_back(self) -> None:
        for place, name, value, copy in self._held:
            if name not in place:
                continue  # it has become a parameter, buffer or module
            if copy is not None and not torch.equal(value, copy):
                with torch.no_grad():
                    value.copy_(copy)
            if place[name] is not value:
                place[name] = value
