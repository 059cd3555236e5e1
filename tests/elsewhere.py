"""A second device that every machine has: for tests that nothing is left behind on the first.

A tensor there is a shell around one of the CPU's, and says that it is on :data:`ELSEWHERE`. Its
operations are done by the CPU, draws by the CPU's generator: numbers are the same, to the bit. What
a GPU refuses is refused as there: operations on tensors of both devices, generators of the other
device, ``numpy()``. Inside :func:`elsewhere` tensors can be made there and moved there and back.

Graphs cannot be traced there: ``make_fx`` does not see into a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

#: On every machine torch knows this device, for shapes without numbers. Its tensors here have some.
ELSEWHERE = torch.device("meta")

_aten = torch.ops.aten
_PUT = {_aten.index_put.default, _aten.index_put_.default}
#: What takes indices takes them from the CPU too.
_INDEXED = {_aten.index.Tensor, *_PUT}


class _Shell(Tensor):
    """A tensor elsewhere."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> _Shell:
        shell = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=ELSEWHERE,
            requires_grad=inner.requires_grad,
        )
        shell.inner = inner
        return shell

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"elsewhere({self.inner})"

    def tolist(self) -> Any:  # torch's own has no way into a shell
        return self.inner.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("a tensor elsewhere cannot be an array: copy it to the CPU first")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation that has to do with elsewhere, on the CPU."""
    _refuse(func, args, kwargs)
    bare_args = _each(_bare, args)
    bare_kwargs = {key: _each(_bare, value) for key, value in kwargs.items()}
    if kwargs.get("device") is not None:
        there = _is_there(kwargs["device"])
        bare_kwargs["device"] = torch.device("cpu")
    else:
        there = func is not _aten.copy_.default or isinstance(args[0], _Shell)
    result = func(*bare_args, **bare_kwargs)
    if not there:
        return result
    return return_and_correct_aliasing(func, args, kwargs, _each(_Shell, result))


def _bare(tensor: Tensor) -> Tensor:
    return tensor.inner if isinstance(tensor, _Shell) else tensor


def _each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Change the tensors in an operation's arguments or results."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_each(change, part) for part in value])
    return value


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == ELSEWHERE.type


def _refuse(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Raise where a GPU would."""
    if kwargs.get("generator") is not None:
        raise RuntimeError(f"{func}: a generator of the CPU cannot draw elsewhere")
    if func in (_aten.copy_.default, _aten._to_copy.default):
        return
    here: list[Tensor] = []
    shells: list[Tensor] = []
    for value in (args, *kwargs.values()):
        _each(lambda t: (shells if isinstance(t, _Shell) else here).append(t) or t, value)
    if not shells:
        return
    indices = args[1] if func in _INDEXED else []
    for tensor in here:
        is_index = any(tensor is index for index in indices)
        # A single number of the CPU may take part in what is done number by number.
        is_number = tensor.dim() == 0 and (torch.Tag.pointwise in func.tags or func in _PUT)
        is_changed = tensor is args[0] and func._schema.is_mutable
        if not (is_index or is_number) or is_changed:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, found one of shape "
                f"{tuple(tensor.shape)} on the CPU among others elsewhere"
            )


class _Made(TorchDispatchMode):
    """Makes tensors there, where that is asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return (_run if _is_there(kwargs.get("device")) else _as_it_is)(func, args, kwargs)


def _as_it_is(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


class _FromNumbers(TorchFunctionMode):
    """Makes tensors of Python's numbers on the CPU, then moves them: torch would lose the numbers.

    And those of ``Tensor.new``, which is older than dispatch.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new and _is_there(args[0].device):
            return args[0].new_empty(*args[1:])
        if func is Tensor.new_tensor and _is_there(args[0].device):
            like, *args = args
            kwargs = {"dtype": like.dtype, "device": like.device, **kwargs}
            func = torch.tensor
        if func in (torch.tensor, torch.as_tensor) and _is_there(kwargs.get("device")):
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Let there be a second device; hand out its name."""
    with _FromNumbers(), _Made():
        yield ELSEWHERE
