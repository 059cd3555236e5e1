"""Which parameters a user's programs use, and where they are kept."""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from torch import Tensor, nn

from pyrovae.models.contract import LatentModel

#: What is not searched: a user's model is not in there, and they are large.
_LIBRARIES = frozenset(sys.stdlib_module_names) | {"torch", "pyro", "numpy", "pyrovae"}
#: A module's own bookkeeping, which ``named_parameters`` has already been through.
_BOOKKEEPING = frozenset(vars(nn.Module()))
_METHODS = (FunctionType, staticmethod, classmethod, property)
#: Objects that are looked at before a search ends: beyond, it is in somebody's data.
_MOST = 100_000


class Place(NamedTuple):
    """Something that a program uses, and where it was found.

    Attributes
    ----------
    path
        As one would write it in the program: ``nets['decoder']``.
    found
        The thing itself.
    hidden
        Whether it is inside a module that has not registered it, as in a plain list: then neither
        torch nor Pyro counts it as part of that module.
    """

    path: str
    found: Any
    hidden: bool


def leaves(values: Iterable[Tensor]) -> list[Tensor]:
    """Return the tensors that values were computed from and that collect a gradient.

    These are what autograd's graph ends in, whether or not anybody knows where they are kept.
    """
    found: dict[int, Tensor] = {}
    nodes = []
    for value in values:
        if value.grad_fn is not None:
            nodes.append(value.grad_fn)
        elif value.requires_grad:
            found[id(value)] = value
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found[id(variable)] = variable
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                nodes.append(following)
    return list(found.values())


def modules_used(*programs: Any) -> list[nn.Module]:
    """Return the modules that programs use, wherever they keep them."""
    owners = [getattr(program, "__self__", None) for program in programs]
    if all(isinstance(owner, LatentModel) for owner in owners):
        return [owner for owner in owners if isinstance(owner, nn.Module)]
    roots = {str(i): program for i, program in enumerate(programs)}
    return [place.found for place in places(roots) if isinstance(place.found, nn.Module)]


def places(roots: Mapping[str, Any]) -> Iterator[Place]:
    """Search programs for modules and tensors, outermost first.

    Looked into are variables that functions close over, globals and attributes that they name,
    default arguments, what methods and partials are bound to, containers, and objects' attributes.

    Parameters
    ----------
    roots
        Programs by what to call them where a path starts with one.
    """
    waiting = deque(Place(name, root, False) for name, root in roots.items())
    seen: dict[tuple[int, bool], Any] = {}  # with what is seen, so that ids stay theirs
    while waiting and len(seen) < _MOST:
        place = waiting.popleft()
        key = (id(place.found), place.hidden)
        if key in seen:
            continue
        seen[key] = place.found
        if isinstance(place.found, nn.Module | Tensor):
            yield place
        waiting.extend(_inside(*place))


def _inside(path: str, value: Any, hidden: bool) -> Iterator[Place]:
    """Yield what a value leads to."""

    def at(path: str, inner: Any, hidden: bool = hidden) -> Place:
        return Place(path, inner, hidden)

    if isinstance(value, str | bytes | int | float | Tensor | None):
        return
    if isinstance(value, nn.Module):
        for name, part in value.named_modules():
            for key, inner in vars(part).items():
                if key not in _BOOKKEEPING:
                    yield at(".".join(filter(None, (path, name, key))), inner, True)
            yield from _class_of(part, path, hidden)
    elif isinstance(value, MethodType):
        yield at(type(value.__self__).__name__, value.__self__)
        yield at(path, value.__func__)
    elif isinstance(value, partial):
        yield at(path, value.func)
        for i, inner in enumerate(value.args):
            yield at(f"{path}.args[{i}]", inner)
        for key, inner in value.keywords.items():
            yield at(key, inner)
    elif isinstance(value, FunctionType):
        for name, inner in _used_by(value):
            yield at(name, inner)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield at(f"{path}[{key!r}]", inner)
    elif isinstance(value, list | tuple | set | frozenset | deque):
        for i, inner in enumerate(value):
            yield at(f"{path}[{i}]", inner)
    elif isinstance(value, type):
        if not _of_library(value):
            for name, inner in vars(value).items():
                yield at(f"{path}.{name}", inner)
    elif isinstance(value, property):
        yield at(path, value.fget)
    elif isinstance(value, staticmethod | classmethod):
        yield at(path, value.__func__)
    elif not isinstance(value, ModuleType):
        slots = [name for base in type(value).__mro__ for name in _slots(base)]
        held = {name: getattr(value, name, None) for name in slots}
        for name, inner in {**held, **getattr(value, "__dict__", {})}.items():
            yield at(f"{path}.{name}", inner)
        yield from _class_of(value, path, hidden)


def _slots(kind: type) -> Iterable[str]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def _class_of(value: Any, path: str, hidden: bool) -> Iterator[Place]:
    """Yield what a user's class defines: its methods use variables as functions do."""
    for base in type(value).__mro__:
        if not _of_library(base):
            for name, inner in vars(base).items():
                # What methods use is no part of the module; what its class holds, it hides.
                unregistered = isinstance(value, nn.Module) and not isinstance(inner, _METHODS)
                yield Place(f"{path}.{name}", inner, hidden or unregistered)


def _used_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet filled
            continue
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    yield from ((p.name, p.default) for p in parameters if p.default is not p.empty)
    if hasattr(function, "__wrapped__"):
        yield function.__name__, function.__wrapped__
    if _of_library(function):
        return
    words = _words(function.__code__)
    for name in words & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            if not _is_library(value.__name__):
                yield from ((f"{name}.{k}", v) for k, v in vars(value).items() if k in words)
        else:
            yield name, value


def _words(code: CodeType) -> set[str]:
    """Return the names that code, and code inside it, refers to."""
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*map(_words, inner))


def _of_library(value: Any) -> bool:
    return _is_library(getattr(value, "__module__", None) or "builtins")


def _is_library(name: str) -> bool:
    return name.partition(".")[0] in _LIBRARIES
