"""Functions of the user's own, by dotted path: ``mypackage.my_module:build``."""

from __future__ import annotations

import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyrovae.core.digest import short_digest
from pyrovae.core.errors import ConfigError, first_line


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
    """Import a function.

    Raises
    ------
    ConfigError
        If ``name`` is no dotted path, its module cannot be imported, or has no such function.
    """
    module_name, colon, attribute = str(name).partition(":")
    if not isinstance(name, str) or not colon or not attribute or not module_name:
        raise ConfigError(f"must be 'package.module:function', got {name!r}")
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
    found = getattr(module, attribute, None)
    if not callable(found):
        what = "has no" if found is None else "cannot be called at"
        raise ConfigError(f"module '{module_name}' {what} '{attribute}'")
    return found


def source_of(function: Callable[..., Any]) -> str:
    """Return a hash of the file that a function is in.

    Raises
    ------
    ConfigError
        If it is in none.
    """
    try:
        path = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # as of built-in functions
        path = None
    if path is None:
        raise ConfigError("must be written in Python: its source is part of a run's identity")
    return short_digest(Path(path).read_bytes())


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
    str(Path(__file__).parent),
    *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
)
