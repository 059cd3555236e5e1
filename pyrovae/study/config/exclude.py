"""Combinations that a study leaves out, and whether each entry of them leaves out any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.core.schedules import is_schedule
from pyrovae.study.config.resolve import PARTS, REGISTRIES, SETTINGS


class Exclusions:
    """The entries of a study's ``exclude``.

    Parameters
    ----------
    entries
        Each maps fields of a run, or dotted paths into them, to values that all have to agree.
    place
        From a place such as ``exclude[0].prior.df`` to where the user wrote it.

    Raises
    ------
    ConfigError
        For a name or a parameter that there is not.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]], place: Callable[[str], str]) -> None:
        self._entries, self._place = entries, place
        self._unused = set(range(len(entries)))
        for i, entry in enumerate(entries):
            for path in _paths(entry):
                try:
                    _check(path, entry)
                except ConfigError as error:
                    where = place(f"exclude[{i}].{'.'.join(path)}")
                    raise ConfigError(error.message, where) from None

    def match(self, run: Mapping[str, Any]) -> bool:
        """Tell whether a resolved run is left out."""
        matching = {i for i, entry in enumerate(self._entries) if _matches(run, entry)}
        self._unused -= matching
        return bool(matching)

    def unused(self) -> list[ConfigError]:
        """Return what there is to say of each entry that has matched no run."""
        return [
            ConfigError(
                "matches no run, so that it leaves nothing out", self._place(f"exclude[{i}]")
            )
            for i in sorted(self._unused)
        ]


def _paths(entry: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of an entry's values, down to the parts of a component."""
    for key, value in entry.items():
        part, *inside = key.split(".")
        if not inside and isinstance(value, Mapping):
            yield from ((part, inner) for inner in value)
        else:
            yield (part, *inside)


def _check(path: tuple[str, ...], entry: Mapping[str, Any]) -> None:
    part, *inside = path
    name = _name(entry, part)
    if part in REGISTRIES and isinstance(name, str) and ":" not in name:
        if name not in REGISTRIES[part]:
            raise ConfigError(f"unknown {part} '{name}'{did_you_mean(name, REGISTRIES[part])}")
    elif part in REGISTRIES and name is not None and not isinstance(name, str):
        raise ConfigError(f"unknown {part} '{name}'")
    known = _parameters(part, name)
    if inside and known is not None and inside[0] not in known:
        raise ConfigError(f"unknown key{did_you_mean(inside[0], known)}")


def _name(entry: Mapping[str, Any], part: str) -> Any:
    value = entry.get(part)
    return value.get("name") if isinstance(value, Mapping) else entry.get(f"{part}.name")


def _parameters(part: str, name: str | None) -> Collection[str] | None:
    """Return what a part of a run consists of; ``None`` if only a user's own code knows."""
    if part in SETTINGS | PARTS:
        return (SETTINGS | PARTS)[part].model_fields
    if part not in REGISTRIES:
        return None if part == "model" else ()
    if name is not None and ":" in name:
        return None
    registry = REGISTRIES[part]
    names = list(registry) if name is None else [name]
    return {"name"}.union(*(registry.parameters(each).model_fields for each in names))


def _matches(run: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    for path, wanted in entry.items():
        actual: Any = run
        for key in path.split("."):
            actual = _content(actual)
            actual = actual.get(key) if isinstance(actual, Mapping) else None
        if not _agrees(actual, wanted):
            return False
    return True


def _content(value: Any) -> Any:
    """Return settings as a mapping of every field: what is written leaves some defaults out."""
    if not isinstance(value, BaseModel):
        return value
    if is_schedule(value):
        return value.model_dump()
    return {name: getattr(value, name) for name in type(value).model_fields}


def _agrees(actual: Any, wanted: Any) -> bool:
    actual = _content(actual)
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and _agrees(actual[key], value) for key, value in wanted.items()
        )
    return bool(actual == wanted)
