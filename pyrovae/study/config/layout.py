"""The shape of a study's file: keys, profiles, overrides, and where each value came from.

``origins`` maps a dotted path of the merged content to the place that the user wrote it at, so that
an error names ``profiles.quick.base.training.steps`` or ``--set latent_dim``, not a merged ghost.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.study.config import yaml
from pyrovae.study.config.plain import check_plain
from pyrovae.study.config.run import COMPONENTS, OPTIMIZER

RUN_KEYS = (*COMPONENTS, "model", "condition", "layers", "latent_dim", "training", "evaluation")
#: Lists of what is chosen by name, inside `evaluation`.
_LISTED = frozenset({"metrics", "samplers"})
#: Letters of a value that a message shows at most.
_SHOWN = 200
STUDY_KEYS = (
    *("name", "description", "base", "grid", "zip", "exclude", "seeds", "profiles"),
    "published",
)


def require_mapping(value: Any, place: str) -> None:
    """Raise a ConfigError unless ``value`` is a mapping with words as keys."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"must be a mapping of keys to values, got {shown(value)}", place)
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"keys must be words, got {key!r}", place)


def known_keys(value: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    """Raise a ConfigError for the first key that is not known."""
    for key in value:
        if key not in known:
            where = f"{place}.{key}" if place else key
            raise ConfigError(f"unknown key{did_you_mean(key, known)}", where)


def shown(value: Any) -> str:
    """Return a value with its type, as error messages show it."""
    if value is None:
        return "nothing"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"


def normalised(raw: dict[str, Any], place: str) -> dict[str, Any]:
    """Check the shapes of a study or patch, and write ``prior: laplace`` as a mapping."""
    prefix = f"{place}." if place else ""
    if "base" in raw:
        require_mapping(raw["base"], f"{prefix}base")
        known_keys(raw["base"], RUN_KEYS, f"{prefix}base")
        raw["base"] = {key: _component(key, value) for key, value in raw["base"].items()}
    for section in ("grid", "zip"):
        if raw.get(section) is None:
            raw.pop(section, None)
            continue
        where = f"{prefix}{section}"
        require_mapping(raw[section], where)
        for key, values in raw[section].items():
            known_keys({key.split(".")[0]: None}, RUN_KEYS, where)
            if not isinstance(values, list):
                raise ConfigError(f"must be a list, got {shown(values)}", f"{where}.{key}")
            if not values:
                raise ConfigError("is empty: nothing would be run", f"{where}.{key}")
            raw[section][key] = [_component(key, value) for value in values]
    if raw.get("exclude") is None:
        raw.pop("exclude", None)
    elif not isinstance(raw["exclude"], list):
        raise ConfigError(f"must be a list, got {shown(raw['exclude'])}", f"{prefix}exclude")
    for i, entry in enumerate(raw.get("exclude", [])):
        where = f"{prefix}exclude[{i}]"
        require_mapping(entry, where)
        if not entry:
            raise ConfigError("is empty: it would leave out every run", where)
        for key in entry:
            known_keys({key.split(".")[0]: None}, (*RUN_KEYS, "seed"), where)
        raw["exclude"][i] = {key: _component(key, value) for key, value in entry.items()}
    return raw


def _component(key: str, value: Any) -> Any:
    if key in (*COMPONENTS, "model", OPTIMIZER) and isinstance(value, str):
        return {"name": value}
    if key == "condition" and isinstance(value, str | list):
        return {"on": value}
    if key == "layers" and isinstance(value, list):
        return {"sizes": value}
    if key == "training" and isinstance(value, Mapping) and "optimizer" in value:
        return {**value, "optimizer": _component(OPTIMIZER, value["optimizer"])}
    if key == "evaluation" and isinstance(value, Mapping):
        listed = {
            inner: _component(f"{key}.{inner}", value[inner]) for inner in _LISTED & value.keys()
        }
        return {**value, **listed}
    if key in {f"evaluation.{name}" for name in _LISTED} and isinstance(value, list):
        return [{"name": part} if isinstance(part, str) else part for part in value]
    return value


def merge(
    target: dict[str, Any], patch: Mapping[str, Any], path: str, place: str, origins: dict[str, str]
) -> None:
    """Lay ``patch`` over ``target``: mappings merge, anything else replaces."""
    for key, value in patch.items():
        where = f"{path}.{key}" if path else key
        inner = f"{place}.{key}"
        # A component is replaced as a whole when its name changes: parameters belong to the name.
        renamed = isinstance(value, Mapping) and "name" in value
        if isinstance(value, Mapping) and isinstance(target.get(key), dict) and not renamed:
            merge(target[key], value, where, inner, origins)
        else:
            target[key] = copy.deepcopy(value)
            origins[where] = inner


def override_value(raw: dict[str, Any], override: str, origins: dict[str, str]) -> None:
    """Apply ``a.b=c`` to a study's content."""
    place = f"--set {override.split('=')[0]}"
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError("must have the form a.b=value", f"--set {override}")
    keys = [
        int(k) if re.fullmatch("[0-9]{1,9}", k) else k
        for k in re.sub(r"\[(\d+)\]", r".\1", path).split(".")
    ]
    if keys[0] not in STUDY_KEYS:
        keys.insert(0, "base")
    if keys[0] == "profiles":
        raise ConfigError("profiles are chosen by --profile, and changed in the file", place)
    try:
        value = yaml.parse(text)
    except ConfigError as error:
        raise ConfigError(error.message, place) from None
    try:
        check_plain(value)
    except ConfigError as error:
        raise error.at(place) from None
    if keys[0] == "base" and len(keys) > 1:
        for section in ("grid", "zip"):
            for listed in raw.get(section, {}):
                inside = ".".join(map(str, keys[1:]))
                if inside == listed or inside.startswith(f"{listed}."):
                    raise ConfigError(f"{section}.{listed} decides this; set that instead", place)
    # `grid.objective.beta` is one key of the grid, not a path through it.
    if keys[0] in ("grid", "zip") and len(keys) > 2:
        listed = ".".join(
            str(k) for k in itertools.takewhile(lambda k: isinstance(k, str), keys[1:])
        )
        if listed in raw.get(keys[0], {}) or keys[1] not in raw.get(keys[0], {}):
            keys = [keys[0], listed, *keys[1 + len(listed.split(".")) :]]
    at: Any = raw
    for depth, key in enumerate(keys[:-1]):
        if isinstance(at, list) and isinstance(key, int):
            if key >= len(at):
                raise ConfigError(f"there are only {len(at)} entries", place)
            at = at[key]
            continue
        if not isinstance(at, dict):
            raise ConfigError(f"'{'.'.join(map(str, keys[:depth]))}' has no parts", place)
        at = at.setdefault(key, {})
    try:
        at[keys[-1]] = value
    except (TypeError, IndexError):
        raise ConfigError("there is no such place", place) from None
    origins[".".join(map(str, keys))] = place
    try:
        known_keys(raw, STUDY_KEYS, "")
        normalised(raw, "")
    except ConfigError as error:
        raise ConfigError(error.message, place) from None


def placed(place: str, origins: Mapping[str, str]) -> str:
    """Return the true origin of a place in the merged file: the file, a profile or ``--set``."""
    steps = re.findall(r"\[\d+\]|\.?[^.\[\]]+", place)
    for taken in range(len(steps), 0, -1):
        known = re.sub(r"\[(\d+)\]", r".\1", "".join(steps[:taken]))
        if known in origins:
            return origins[known] + "".join(steps[taken:])
    return place
