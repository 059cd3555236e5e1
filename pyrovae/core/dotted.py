"""Classes and functions of the user's own, by dotted path: ``mypackage.my_module:build``.

A class that stands in a module's text is found by importing the module. One that was made in a
function, or in a notebook's cell that has been executed again, is found in this process only: what
:func:`path_of` has named, :func:`load` knows. :func:`not_elsewhere` tells them apart.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import sysconfig
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyrovae.core.errors import ConfigError, first_line

#: What no other process can import, by path: the definition that was named last.
_HELD: dict[str, Callable[..., Any]] = {}


def is_path(name: Any) -> bool:
    """Tell whether a name is a dotted path, as against that of a registry's entry."""
    return isinstance(name, str) and ":" in name


def make_importable(folder: Path) -> None:
    """Let modules in a study's folder be imported, and those of the working directory.

    Worker processes take over the import path.
    """
    for place in (str(folder.resolve()), str(Path.cwd())):
        if place not in sys.path:
            sys.path.append(place)


def load(name: Any) -> Callable[..., Any]:
    """Return the class or function at a path.

    Raises
    ------
    ConfigError
        If ``name`` is no dotted path, its module cannot be imported, or has no such function.
    """
    module_name, colon, attribute = str(name).partition(":")
    if not isinstance(name, str) or not colon or not attribute or not module_name:
        raise ConfigError(f"must be 'package.module:function', got {name!r}")
    if name in _HELD:
        return _HELD[name]
    make_importable(Path.cwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise ConfigError(f"importing '{module_name}' fails: {error}") from error
        raise ConfigError(
            f"no module '{module_name}' in the study's folder, the working directory or PYTHONPATH"
        ) from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"importing '{module_name}' fails: {told(error)}") from error
    found = _inside(module, attribute)
    if not callable(found):
        what = "has no" if found is None else "cannot be called at"
        raise ConfigError(f"module '{module_name}' {what} '{attribute}'")
    return found


def path_of(entry: Callable[..., Any]) -> str:
    """Return the path of a class or function, by which :func:`load` finds it in this process.

    Raises
    ------
    ConfigError
        For a callable without a name, such as a :func:`functools.partial`.
    """
    module_name, name = getattr(entry, "__module__", None), getattr(entry, "__qualname__", None)
    if not module_name or not name:
        raise ConfigError(f"must be a class or function, got {entry!r}")
    path = f"{module_name}:{name}"
    if _inside(sys.modules.get(module_name), name) is entry:
        _HELD.pop(path, None)
    else:
        _HELD[path] = entry
    return path


def not_elsewhere(path: str) -> str | None:
    """Return why another process cannot import what is at a path, and the remedy, or ``None``."""
    module_name, _, name = path.partition(":")
    if path not in _HELD and module_name != "__main__":
        return None
    short = name.rpartition(".")[2]
    where = "in a function" if "<locals>" in name else "in a notebook or the program itself"
    return (
        f"'{short}' is defined {where}, where no other process can import it: move it into a file, "
        f"say my_parts.py, and name it 'my_parts:{short}', or run with executor='inline'"
    )


def source_of(entry: Callable[..., Any]) -> str:
    """Return a hash of the file that a class or function is in; of its own text if in a notebook.

    Raises
    ------
    ConfigError
        If it is not written in Python.
    """
    entry = inspect.unwrap(entry)
    return hashlib.sha256(_text(entry)).hexdigest()[:16]


def _text(entry: Callable[..., Any]) -> bytes:
    module = sys.modules.get(getattr(entry, "__module__", None) or "")
    # A notebook's cells are many files, which change their names; and their module has none.
    if getattr(module, "__file__", None):
        try:
            path = inspect.getsourcefile(entry)
        except TypeError:  # as of built-in functions
            path = None
        if path is not None and Path(path).exists():
            return Path(path).read_bytes()
    try:
        return inspect.getsource(entry).encode()
    except (OSError, TypeError):
        codes = list(_codes(entry))
        if not codes:
            raise ConfigError(
                "must be written in Python: its source is part of a run's identity"
            ) from None
        return repr(codes).encode()


def _codes(entry: Any) -> Any:
    """Yield what the functions of a class do, for one whose text is lost."""
    if inspect.isclass(entry):
        for name, value in sorted(vars(entry).items()):
            inner = getattr(value, "__func__", value)
            if isinstance(inner, types.FunctionType):
                yield from _codes(inner)
            elif isinstance(value, int | float | str | tuple | frozenset):
                yield name, sorted(map(repr, value)) if isinstance(value, frozenset) else value
    elif isinstance(entry, types.FunctionType):
        code, defaults = entry.__code__, (entry.__defaults__, entry.__kwdefaults__)
        yield code.co_name, code.co_code, code.co_names, _constants(code), repr(defaults)


def _constants(code: types.CodeType) -> list[Any]:
    inside = types.CodeType
    return [
        (c.co_code, c.co_names, _constants(c)) if isinstance(c, inside) else repr(c)
        for c in code.co_consts
    ]


def _inside(module: Any, name: str) -> Any:
    """Return the attribute of a dotted name, such as a class in a class, or ``None``."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def told(failure: BaseException) -> str:
    """Return what an exception in a user's own code says, and the line that raised it.

    >>> told(ValueError("no such file"))
    'ValueError: no such file'
    """
    said = f"{type(failure).__name__}: {first_line(failure)}"
    frames = traceback.extract_tb(failure.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(("<", *_NOT_THEIRS))]
    if not theirs:
        return said
    return f"{said} ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})"


#: Folders whose code is not the user's: this package, the standard library, what is installed.
_NOT_THEIRS = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
)
