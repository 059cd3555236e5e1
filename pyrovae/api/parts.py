"""Parts and settings as Python gives them: names, mappings, classes or instances."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.core.registry import Registry, worst
from pyrovae.study.config.resolve import INSIDE, REGISTRIES

#: Registries of what settings name, by the last word of the setting's path.
_INSIDE = {path.rpartition(".")[2]: registry for path, registry in INSIDE.items()}

Settings = TypeVar("Settings", bound=BaseModel)


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


def settings(model: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return settings with every default filled in.

    Raises
    ------
    ConfigError
        For an unknown name or a value that cannot be, with its name as the place.
    """
    try:
        return model(**given)
    except ValidationError as failure:
        first, inside = worst(failure, given)
        place = ".".join(inside)
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(inside[-1], model.model_fields)
            raise ConfigError(f"unknown key{hint}", place) from None
        raise ConfigError(f"{first['msg']}, got {first['input']!r}", place) from None


def with_names(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study in which a class stands nowhere any more, but its name or dotted path.

    Parameters
    ----------
    study
        What a study's file holds; under the keys of parts, and in ``metrics``, classes (or
        functions, of data sets and metrics) may stand where names do.

    Raises
    ------
    ConfigError
        For a class that is of another kind, with its place.
    """
    found = _named(dict(study), None, "")
    assert isinstance(found, dict)
    return found


def _named(value: Any, registry: Registry | None, place: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _named(inner, _registry(key, registry), f"{place}.{key}" if place else str(key))
            for key, inner in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_named(inner, registry, f"{place}[{i}]") for i, inner in enumerate(value)]
    if registry is None or not (inspect.isclass(value) or inspect.isroutine(value)):
        return value
    try:
        return registry.name_of(value)
    except ConfigError as error:
        raise error.at(place) from None


def _registry(key: Any, outer: Registry | None) -> Registry | None:
    """Return what names below a key are looked up in: ``prior``, ``name``, ``metrics`` …"""
    if key == "name":
        return outer
    last = str(key).rpartition(".")[2]
    return _INSIDE.get(last) or REGISTRIES.get(last)
