"""A study's YAML: from text to resolved runs, each error with its place in the file.

A study is ``base`` (what all runs share), ``grid`` (lists whose Cartesian product is taken),
``zip`` (lists that go side by side), ``exclude`` (combinations to leave out), ``seeds`` and
``profiles`` (named patches, such as a quick form). Keys of grid and zip are fields of ``base``, or
dotted paths into them (``objective.beta``).
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.datasets import own_files
from pyrovae.study.config import shipped, yaml
from pyrovae.study.config.exclude import Exclusions
from pyrovae.study.config.layout import (
    STUDY_KEYS,
    known_keys,
    merge,
    normalised,
    override_value,
    placed,
    require_mapping,
    shown,
)
from pyrovae.study.config.plain import check_plain
from pyrovae.study.config.resolve import resolve
from pyrovae.study.config.run import RunConfig
from pyrovae.study.config.schedules import cut_short

#: Of a study's name, and of a profile's: both together are a folder's.
_LONGEST = 100
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}}")
#: Runs of one study: beyond it a file is a slip.
_MOST_RUNS = 1_000_000


@dataclass(frozen=True)
class Choice:
    """One value that a run takes from the file, and where it stands there."""

    path: str
    value: Any
    place: str


def place_of(choices: Sequence[Choice], path: str) -> str:
    """Return where in the file the value at ``path`` comes from.

    The most specific choice tells; among equals the last, as a later choice replaces an earlier.
    """
    inside = [c for c in choices if path == c.path or path.startswith((c.path + ".", c.path + "["))]
    if not inside:
        return f"base.{path}"
    deepest = max(reversed(inside), key=lambda choice: len(choice.path))
    return deepest.place + path[len(deepest.path) :]


@dataclass(frozen=True)
class PlacedRun:
    """A resolved run, and where in the file each of its values comes from."""

    config: RunConfig
    choices: tuple[Choice, ...]

    def place(self, path: str) -> str:
        """Return where in the file the value at ``path`` of the run comes from."""
        return place_of(self.choices, path)


@dataclass(frozen=True)
class Study:
    """A study as read: its name and its runs, resolved but not yet checked against the data.

    ``remarks`` are what a user should hear and what need not stop the study. ``published`` are the
    tables of papers that the file names: see :mod:`pyrovae.published.tables`.
    """

    name: str
    description: str
    file: str
    runs: tuple[PlacedRun, ...]
    remarks: tuple[str, ...] = ()
    published: tuple[Any, ...] = ()


def load_study_file(path: Path, *, profile: str = "", overrides: Sequence[str] = ()) -> Study:
    """Read a study's YAML file.

    Parameters
    ----------
    path
        The file; where there is none, the name of a study that comes with pyrovae.
    profile
        Name of the patch under ``profiles`` to apply; the study's name gets it as a suffix.
    overrides
        ``a.b=c`` each: a path from the top of the file, or, if its first word is not a key there,
        from ``base``; the value is YAML.

    Raises
    ------
    ConfigError
        For anything that is wrong, with its place.
    """
    path = shipped.located(path)
    raw = yaml.read(path)
    dotted.make_importable(path.parent)
    try:
        return read_study(raw, profile=profile, overrides=overrides, file=str(path))
    except ConfigError as error:
        raise error.at(file=str(path)) from None


def read_study(
    raw: Any, *, profile: str = "", overrides: Sequence[str] = (), file: str = ""
) -> Study:
    """Read a study from what its YAML file holds; it is not changed.

    Parameters
    ----------
    raw
        Plain data: words, numbers, lists and mappings.
    profile, overrides
        As for :func:`load_study_file`.
    file
        Where it stands, if it does in a file.

    Raises
    ------
    ConfigError
        For anything that is wrong, with its place.
    """
    own_files.look_in(Path(file).parent if file else None)
    require_mapping(raw, "")
    known_keys(raw, STUDY_KEYS, "")
    check_plain(raw)
    origins: dict[str, str] = {}
    raw = normalised(copy.deepcopy(raw), "")
    profiles = raw.pop("profiles", None) or {}
    require_mapping(profiles, "profiles")
    for each, patch in profiles.items():
        place = f"profiles.{each}"
        _check_name(each, place)
        require_mapping(patch, place)
        known_keys(patch, [k for k in STUDY_KEYS if k not in ("name", "profiles")], place)
        profiles[each] = normalised(patch, place)
    if profile:
        if profile not in profiles:
            raise ConfigError(
                f"no profile '{profile}'{did_you_mean(profile, profiles)}", "profiles"
            )
        merge(raw, profiles[profile], "", f"profiles.{profile}", origins)
    for override in overrides:
        override_value(raw, override, origins)
    name = _name(raw, profile)
    remarks: list[str] = []
    runs = tuple(_runs(raw, origins, remarks))
    published = raw.get("published") or []
    if not isinstance(published, list):
        raise ConfigError(f"must be a list of tables, got {shown(published)}", "published")
    description = str(raw.get("description") or "")
    return Study(name, description, file, runs, tuple(remarks), tuple(published))


def _name(raw: Mapping[str, Any], profile: str) -> str:
    if "name" not in raw:
        raise ConfigError("is missing: a study needs a name", "name")
    _check_name(raw["name"], "name")
    return f"{raw['name']}-{profile}" if profile else raw["name"]


def _check_name(name: Any, place: str) -> None:
    """Refuse what could not be the name of a folder on every system."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        told = f"{name[:_LONGEST]}…" if isinstance(name, str) and len(name) > _LONGEST else name
        raise ConfigError(
            f"must be letters, digits, '.', '_' or '-', at most {_LONGEST}, got {told!r}", place
        )


def _runs(
    raw: dict[str, Any], origins: Mapping[str, str], remarks: list[str]
) -> Iterator[PlacedRun]:
    base = [Choice(k, v, placed(f"base.{k}", origins)) for k, v in raw.get("base", {}).items()]
    base += [
        Choice(origin.removeprefix("base."), None, placed(origin, origins))
        for origin in origins
        if origin.startswith("base.") and origin.count(".") > 1
    ]
    seeds = _seeds(raw.get("seeds", 1), placed("seeds", origins))
    excluded = Exclusions(raw.get("exclude", []), lambda place: placed(place, origins))
    seen: dict[str, PlacedRun] = {}
    left_out = 0
    axes = _axes(raw, origins)
    count = math.prod(map(len, axes)) * len(seeds)
    if count > _MOST_RUNS:
        raise ConfigError(f"gives {count:.3g} runs; a study has at most {_MOST_RUNS:,}", "grid")
    for picked in map(_flat, itertools.product(*axes)):
        # A whole component first, then single parameters inside it.
        ordered = sorted(picked, key=lambda choice: choice.path.count("."))
        content = copy.deepcopy(raw.get("base", {}))
        for choice in ordered:
            _put(content, choice)
        choices = tuple(base + ordered)
        resolved = resolve(content, partial(place_of, choices))
        run: PlacedRun | None = None
        shared = ""
        for seed, seed_place in seeds:
            if excluded.match({**resolved, "seed": seed}):
                left_out += 1
                continue
            run = PlacedRun(
                RunConfig(**resolved, seed=seed), (*choices, Choice("seed", seed, seed_place))
            )
            # What seeds share is written once: it is what takes time.
            shared = shared or run.config.model_dump_json(exclude={"evaluation", "seed"})
            key = f"{seed} {shared}"
            if key in seen:
                places = _difference(seen[key], run)
                raise ConfigError(f"gives the same run twice, as does {places[0]}", places[1])
            seen[key] = run
            yield run
        # Seeds are alike in this.
        told = (
            [f"{run.place(path)}: {remark}" for path, remark in cut_short(run.config)]
            if run
            else []
        )
        remarks.extend(remark for remark in told if remark not in remarks)
    if not seen:
        raise ConfigError(f"leaves out all {left_out} runs", placed("exclude", origins))
    for unused in excluded.unused():
        # A profile or --set may have taken away what the file's entries leave out.
        if all(origin.startswith("exclude") for origin in origins):
            raise unused
        remarks.append(str(unused))


def _difference(first: PlacedRun, second: PlacedRun) -> tuple[str, str]:
    """Return the places at which two equal runs were chosen apart."""
    for a, b in zip(first.choices, second.choices, strict=True):
        if a.place != b.place:
            return a.place, b.place
    return "seeds", "seeds"


def _axes(raw: Mapping[str, Any], origins: Mapping[str, str]) -> list[list[tuple[Choice, ...]]]:
    """Return what is varied independently: of each axis one entry goes into a run."""
    axes: list[list[tuple[Choice, ...]]] = []
    for key, values in raw.get("grid", {}).items():
        axes.append(
            [(Choice(key, v, placed(f"grid.{key}[{i}]", origins)),) for i, v in enumerate(values)]
        )
    zipped = raw.get("zip", {})
    overlap = sorted(set(zipped) & set(raw.get("grid", {})))
    if overlap:
        raise ConfigError("is in the grid as well", placed(f"zip.{overlap[0]}", origins))
    if zipped:
        lengths = {key: len(values) for key, values in zipped.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key}: {n}" for key, n in lengths.items())
            raise ConfigError(f"lists must be of equal length, got {shown}", placed("zip", origins))
        axes.append(
            [
                tuple(
                    Choice(key, values[i], placed(f"zip.{key}[{i}]", origins))
                    for key, values in zipped.items()
                )
                for i in range(next(iter(lengths.values())))
            ]
        )
    return axes


def _flat(picked: tuple[tuple[Choice, ...], ...]) -> tuple[Choice, ...]:
    return tuple(itertools.chain.from_iterable(picked))


def _put(content: dict[str, Any], choice: Choice) -> None:
    *outer, last = choice.path.split(".")
    at = content
    for key in outer:
        at = at.setdefault(key, {})
        if not isinstance(at, dict):
            raise ConfigError(f"'{key}' has no parts", choice.place)
    at[last] = copy.deepcopy(choice.value)


def _seeds(value: Any, place: str) -> list[tuple[int, str]]:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", place)
        if value > _MOST_RUNS:
            raise ConfigError(f"must be at most {_MOST_RUNS:,} seeds, got {value:,}", place)
        return [(seed, place) for seed in range(value)]
    if not isinstance(value, list) or not all(type(s) is int and s >= 0 for s in value):
        raise ConfigError(
            f"must be a number of seeds or a list of whole numbers, got {shown(value)}", place
        )
    if not value:
        raise ConfigError("is empty: nothing would be run", place)
    for i, seed in enumerate(value):
        if seed in value[:i]:
            raise ConfigError(f"seed {seed} is given twice", f"{place}[{i}]")
    return [(seed, f"{place}[{i}]") for i, seed in enumerate(value)]
