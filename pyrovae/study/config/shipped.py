"""The studies that come with pyrovae, found by name: the files of the top-level ``studies/``.

A wheel carries them inside the package; a checkout, or an installation that points to one, has them
beside it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.study.config import yaml

_PACKAGE = Path(__file__).parents[2]


def folder() -> Path:
    """Return the folder of the files."""
    inside = _PACKAGE / "shipped"
    return inside if inside.is_dir() else _PACKAGE.parent / "studies"


@cache
def studies() -> dict[str, Path]:
    """Return the files by the name that each gives its study: that of the folder of its results."""
    return {_head(path, "name"): path for path in sorted(folder().rglob("*.yaml"))}


def description(name: str) -> str:
    """Return what a study says of itself.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    return _head(named(name), "description")


def named(name: str) -> Path:
    """Return the file of a study.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in studies():
        raise ConfigError(f"no study '{name}' comes with pyrovae{did_you_mean(name, studies())}")
    return studies()[name]


def located(path: Path) -> Path:
    """Return ``path``; if no file is there and it is the name of a study, that study's file.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    # Unlike pathlib's, this answers whatever the path is.
    if os.path.isfile(path):
        return path
    if str(path) in studies():
        return named(str(path))
    try:
        path.stat()
    except FileNotFoundError:
        near = did_you_mean(path.stem, studies())
        problem = f"No such file, and no study of that name comes with pyrovae{near}"
        raise ConfigError(problem, "", str(path)) from None
    except (OSError, ValueError):
        pass  # Whoever reads it says why that fails.
    return path


def copy(name: str, to: Path) -> Path:
    """Write a study's file to a path, or under its own name into a folder; return where it is.

    Raises
    ------
    ConfigError
        If there is no study of that name, or the file exists or cannot be written.
    """
    source = named(name)
    place = to / source.name if os.path.isdir(to) else to
    try:
        with place.open("xb") as made:
            made.write(source.read_bytes())
    except FileExistsError:
        raise ConfigError("exists already, and is left as it is", "", str(place)) from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise ConfigError(f"cannot be written: {reason}", "", str(place)) from None
    return place


def _head(path: Path, key: str) -> str:
    """Return an entry of the file's first level as text."""
    return str(yaml.read(path).get(key, ""))
