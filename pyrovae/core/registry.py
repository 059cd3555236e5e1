"""Names to classes: the one mechanism behind every extension point.

An entry is a class or function. Its positional parameters are supplied by the program (a latent
dimension, an image shape); its **keyword-only parameters are the user's**: they are what a study's
YAML may set, their annotations are what it is validated against, their defaults are filled in
before a run is hashed.

A third party adds entries through ``importlib.metadata`` entry points of the group
``pyrovae.<kind>s``, e.g. in its ``pyproject.toml``::

    [project.entry-points."pyrovae.priors"]
    cauchy = "mypackage.priors:Cauchy"
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pyrovae.core.errors import ConfigError, PyrovaeError, UnknownNameError, did_you_mean
from pyrovae.core.schedules import is_schedule

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """The known entries of one kind.

    Parameters
    ----------
    kind
        Singular, as error messages use it: ``"prior"``. Entry points of the group
        ``pyrovae.priors`` are added on first use.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._sources: dict[str, str] = {}
        self._plugins_loaded = False

    def register(self, name: str, *, source: str) -> Callable[[T], T]:
        """Return a decorator that adds a class under ``name``; ``source`` is the publication."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            self._sources[name] = source
            return entry

        return add

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._entries))

    def __contains__(self, name: str) -> bool:
        self._load_plugins()
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        self._load_plugins()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(
                f"unknown {self.kind} '{name}'{did_you_mean(name, self._entries)}"
            ) from None

    def summary(self, name: str) -> str:
        """Return the first line of the entry's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n")[0]

    def source(self, name: str) -> str:
        """Return the publication that the entry comes from."""
        self[name]
        return self._sources.get(name, "")

    def parameters(self, name: str) -> type[BaseModel]:
        """Return a pydantic model of the entry's keyword-only parameters."""
        return parameters_of(self[name], name)

    def resolve(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Validate ``given`` and fill in the defaults.

        Raises
        ------
        ConfigError
            For an unknown name, an unknown parameter or a value that the annotation refuses; its
            ``place`` is the parameter's name.
        """
        return resolved(self.parameters(name), given, f"{self.kind} '{name}'")

    def create(self, name: str, *context: Any, **parameters: Any) -> Any:
        """Build the entry from the program's ``context`` and the user's ``parameters``."""
        return self[name](*context, **self.resolve(name, parameters))

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group=f"pyrovae.{self.kind}s"):
            package = point.dist.name if point.dist else point.value
            try:
                entry = point.load()
                if self._entries.get(point.name) is entry:  # Its module has registered it.
                    self._sources[point.name] += f"; plugin {point.value}"
                else:
                    self.register(point.name, source=f"plugin {point.value}")(entry)
            except Exception as reason:
                # Whatever a stranger's import raises, the user is to know whose it is.
                raise PyrovaeError(
                    f"plugin '{package}': {self.kind} '{point.name}' ({point.value}) cannot be "
                    f"used: {reason}"
                ) from reason


def parameters_of(entry: Callable[..., Any], name: str) -> type[BaseModel]:
    """Return a pydantic model of the keyword-only parameters of a class or function."""
    hints = typing.get_type_hints(
        entry.__init__ if inspect.isclass(entry) else entry, include_extras=True
    )
    fields: dict[str, Any] = {
        p.name: (hints.get(p.name, Any), ... if p.default is p.empty else p.default)
        for p in inspect.signature(entry).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    return create_model(
        f"{name}_parameters",
        __config__=ConfigDict(extra="forbid", strict=True),
        **fields,
    )


def resolved(model: type[BaseModel], given: dict[str, Any], who: str) -> dict[str, Any]:
    """Validate ``given`` against a model of parameters and fill in the defaults.

    Raises
    ------
    ConfigError
        See :meth:`Registry.resolve`; ``who`` begins its message.
    """
    try:
        return model(**given).model_dump(mode="json", by_alias=True)
    except ValidationError as failure:
        first, where = worst(failure, given)
        place = ".".join(where)
        if first["type"] == "extra_forbidden":
            message = f"{who} has no parameter '{place}'{did_you_mean(place, model.model_fields)}"
        elif first["type"] == "schedule_bound":
            message = f"{who}: {first['msg']}"
        elif is_schedule(first["input"]) and first["type"] in ("int_type", "float_type"):
            message = f"{who}: '{place}' does not change along training: no schedule can stand here"
        else:
            message = f"{who}: {first['msg']}, got {first['input']!r}"
        raise ConfigError(message, place) from None


def worst(failure: ValidationError, given: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return the error of pydantic to tell the user, and where in the user's data it is.

    Of a union's members, all of which complain, the one that went deepest was meant. An error's
    ``loc`` also names that member, which no user has written.
    """
    errors = [(error, _place(error, given)) for error in failure.errors()]
    return max(errors, key=lambda each: len(each[1]))


def _place(error: Mapping[str, Any], given: Any) -> list[str]:
    place: list[str] = []
    for part in error["loc"]:
        inside = isinstance(given, Mapping) and part in given
        if inside or (isinstance(given, list) and isinstance(part, int)):
            place.append(str(part))
            given = given[part]
    if error["type"] in ("missing", "extra_forbidden") and str(error["loc"][-1]) not in place[-1:]:
        place.append(str(error["loc"][-1]))
    return place
