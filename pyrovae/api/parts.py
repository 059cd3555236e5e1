"""A model's parts as Python gives them: names, mappings, classes or instances."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry


def configured(registry: Registry, value: Any) -> dict[str, Any]:
    """Return ``{"name": …, **every parameter}`` of an entry, as a study's file would name it.

    Parameters
    ----------
    registry
        Of its kind.
    value
        A registered name, a dotted path, a class (or function, of data sets and metrics), or a
        mapping with any of these as its ``name``, and parameters.

    Raises
    ------
    ConfigError
        For what is none of these, is unknown, or is of another kind; its ``place`` is inside the
        part.
    """
    given = dict(value) if isinstance(value, Mapping) else {"name": value}
    if "name" not in given:
        raise ConfigError(f"must have a 'name', got {sorted(given)}")
    name = given.pop("name")
    if inspect.isclass(name) or inspect.isroutine(name):
        name = registry.name_of(name)
    elif not isinstance(name, str):
        kinds = "a name, a mapping or a class"
        raise ConfigError(f"must be {kinds}, got {type(name).__name__} {name!r}")
    return {"name": name, **registry.resolve(name, given)}


def part(registry: Registry, value: Any, place: str) -> Any:
    """Return an instance of the registry's kind as it is, and :func:`configured` of all else.

    Raises
    ------
    ConfigError
        As there; its ``place`` begins with the given one.
    """
    base = registry.base
    if base is not None and isinstance(value, base) and not inspect.isclass(value):
        return value
    try:
        return configured(registry, value)
    except ConfigError as error:
        raise error.at(place) from None
