"""Names to classes: the one mechanism behind every extension point.

An entry is a class or function. Its positional parameters are supplied by the program (a latent
dimension, an image shape); its **keyword-only parameters are the user's**: they are what a study's
YAML may set, their annotations are what it is validated against, their defaults are filled in
before a run is hashed.

An entry of one's own needs no name: the class itself stands for one in Python, its dotted path
(``my_priors:Cauchy``, see :mod:`pyrovae.core.dotted`) in YAML. A hash of its source is then part of
what is resolved, so that a run is not taken for one of an edited class.

A third party adds entries through ``importlib.metadata`` entry points of the group
``pyrovae.<kind>s``, e.g. in its ``pyproject.toml``::

    [project.entry-points."pyrovae.priors"]
    cauchy = "mypackage.priors:Cauchy"
"""

from __future__ import annotations

import inspect
import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pyrovae.core import docstring, dotted
from pyrovae.core.errors import ConfigError, PyrovaeError, UnknownNameError, did_you_mean
from pyrovae.core.schedules import is_schedule

T = TypeVar("T", bound=Callable[..., Any])


class _Mark:
    """See :data:`LATER` and :data:`PLACE`."""


@dataclass(frozen=True)
class Before:
    """Annotates a parameter of a metric that came after scores had been stored: what they are of.

    Where that is not the default, the keys of scores say which it is, so that a stored column keeps
    its meaning: ``explicitness`` is what it was, ``explicitness[classifier=softmax]`` the new one.
    """

    value: Any


#: Heading of the entries that stand under no other.
OTHERS = "Others"

#: Annotates a parameter that came after runs had been stored. At its default it is left out of what
#: is resolved, so that those runs keep their identity.
LATER = _Mark()

#: Annotates a parameter that says where something is, not what it is: it is no part of a run's
#: identity.
PLACE = _Mark()


class Registry(Generic[T]):
    """The known entries of one kind.

    Parameters
    ----------
    kind
        Singular, as error messages use it: ``"prior"``. Entry points of the group
        ``pyrovae.priors`` are added on first use.
    base
        What an entry that comes by a dotted path must be a subclass of; none for functions.
    groups
        Headings that entries are listed under, in a reader's order, with their names. An entry
        that stands under none is listed at the end: :data:`OTHERS`.
    """

    def __init__(
        self,
        kind: str,
        base: type | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.kind, self.base = kind, base
        self._groups = {head: tuple(names) for head, names in (groups or {}).items()}
        self._entries: dict[str, T] = {}
        self._sources: dict[str, str | None] = {}
        self._plugins: dict[str, str] = {}
        self._plugins_loaded = False

    def register(self, name: str, *, source: str | None = None) -> Callable[[T], T]:
        """Return a decorator that adds a class under ``name``.

        ``source`` is the publication, by default what the docstring has under ``References``.

        A definition that is executed again, as in a notebook's cell or a reloaded module, takes the
        place of the one before, and a warning says so.

        Raises
        ------
        ValueError
            If another package, or other code, has that name.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                if not _is_again(entry, self._entries[name]):
                    raise ValueError(f"{self.kind} '{name}' is registered twice")
                message = f"{self.kind} '{name}' is registered again: the new one takes its place"
                _say(message, (__name__, type(self).__module__))
            self._entries[name] = entry
            self._sources[name] = source
            return entry

        return add

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._entries))

    def __contains__(self, name: str) -> bool:
        self._load_plugins()
        return name in self._entries or dotted.is_path(name)

    def __getitem__(self, name: str) -> T:
        if dotted.is_path(name):
            return self._own(name)
        self._load_plugins()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(
                f"unknown {self.kind} '{name}'{did_you_mean(name, self._entries)}"
            ) from None

    def grouped(self) -> dict[str, list[str]]:
        """Return the names of all entries by heading; none of the lists is empty.

        Examples
        --------
        >>> registry = Registry("fruit", groups={"Stone fruit": ["plum", "cherry"]})
        >>> for name in ("kiwi", "plum"):
        ...     _ = registry.register(name)(type(name, (), {}))
        >>> registry.grouped()
        {'Stone fruit': ['plum'], 'Others': ['kiwi']}
        """
        known = [name for names in self._groups.values() for name in names]
        present = {head: [n for n in names if n in self] for head, names in self._groups.items()}
        rest = OTHERS if known else ""  # the one heading of a kind without groups
        present[rest] = [name for name in self if name not in known]
        return {head: names for head, names in present.items() if names}

    def summary(self, name: str) -> str:
        """Return the first line of the entry's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n")[0]

    def source(self, name: str) -> str:
        """Return the publication that the entry comes from, and the plug-in, if it is one's."""
        entry = self[name]
        said = self._sources.get(name)
        said = docstring.reference(entry) if said is None else said
        return "; ".join(filter(None, (said, self._plugins.get(name))))

    def parameters(self, name: str) -> type[BaseModel]:
        """Return a pydantic model of the entry's keyword-only parameters."""
        return parameters_of(self[name], name)

    def places(self, name: str) -> frozenset[str]:
        """Return the parameters of a known entry that are marked :data:`PLACE`; else none."""
        if dotted.is_path(name) or name not in self:
            return frozenset()
        return _places(self[name])

    def before(self, name: str) -> dict[str, Any]:
        """Return what the parameters that are marked :class:`Before` were before they came."""
        if dotted.is_path(name) or name not in self:
            return {}
        return dict(_before(self[name]))

    def resolve(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Validate ``given`` and fill in the defaults; by a dotted path, ``source`` is among them.

        Raises
        ------
        ConfigError
            For an unknown name, an unknown parameter or a value that the annotation refuses; its
            ``place`` is the parameter's name. For a class that has changed since ``source`` was
            taken.
        """
        who = f"{self.kind} '{name}'"
        if not dotted.is_path(name):
            return resolved(self.parameters(name), given, who)
        entry = self[name]
        source, rest = dotted.source_of(entry), dict(given)
        if rest.pop("source", source) != source:
            raise ConfigError(f"{who} has changed since this run was trained")
        return {"source": source, **resolved(self.parameters(name), rest, who)}

    def arguments(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what the entry is called with: as :meth:`resolve`, without the source."""
        values = self.resolve(name, given)
        if dotted.is_path(name):
            del values["source"]
        return values

    def create(self, name: str, *context: Any, **parameters: Any) -> Any:
        """Build the entry from the program's ``context`` and the user's ``parameters``."""
        return self[name](*context, **self.arguments(name, parameters))

    def name_of(self, entry: T) -> str:
        """Return the name of a class or function: as registered, else its dotted path.

        Raises
        ------
        ConfigError
            For what cannot be an entry.
        """
        self._load_plugins()
        for name, known in self._entries.items():
            if known is entry:
                return name
        path = dotted.path_of(entry)
        self[path]
        return path

    def not_elsewhere(self, name: str) -> str | None:
        """Return why another process does not know a name, and the remedy, or ``None`` if it does.

        Another process imports this package, plug-ins and dotted paths.
        """
        if dotted.is_path(name):
            return dotted.not_elsewhere(name)
        entry = self[name]
        if name in self._plugins or entry.__module__.partition(".")[0] == _PACKAGE:
            return None
        path = dotted.path_of(entry)
        problem = dotted.not_elsewhere(path)
        return problem or (
            f"{self.kind} '{name}' is registered in this process alone: name it '{path}', or run "
            "with executor='inline'"
        )

    def _own(self, path: str) -> T:
        entry: Any = dotted.load(path)
        if self.base is not None and not (
            inspect.isclass(entry) and issubclass(entry, self.base) and entry is not self.base
        ):
            raise ConfigError(f"'{path}' is no {self.kind}: it must {_kinship(self.base)}")
        try:
            fields = parameters_of(entry, self.kind).model_fields
        except Exception as reason:  # whatever an annotation may be
            raise ConfigError(f"parameters of '{path}' cannot be told: {reason}") from reason
        taken = {"name", "source"} & set(fields)
        if taken:
            raise ConfigError(f"'{path}' has a parameter '{taken.pop()}': call it something else")
        return entry

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group=f"pyrovae.{self.kind}s"):
            package = point.dist.name if point.dist else point.value
            try:
                entry = point.load()
                if self._entries.get(point.name) is not entry:  # Its module may register it.
                    self.register(point.name)(entry)
                self._plugins[point.name] = f"plugin {point.value}"
            except Exception as reason:
                # Whatever a stranger's import raises, the user is to know whose it is.
                raise PyrovaeError(
                    f"plugin '{package}': {self.kind} '{point.name}' ({point.value}) cannot be "
                    f"used: {reason}"
                ) from reason


@cache  # by the entry: another may have taken its name
def _places(entry: Callable[..., Any]) -> frozenset[str]:
    fields = parameters_of(entry, "placed").model_fields
    return frozenset(name for name, field in fields.items() if PLACE in field.metadata)


@cache
def _before(entry: Callable[..., Any]) -> Mapping[str, Any]:
    fields = parameters_of(entry, "marked").model_fields
    return {
        name: mark.value
        for name, field in fields.items()
        for mark in field.metadata
        if isinstance(mark, Before)
    }


#: Where what is built in stands.
_PACKAGE = __name__.partition(".")[0]


def _is_again(new: Any, old: Any) -> bool:
    """Return whether a definition is the one before, executed again."""
    if new.__module__ != old.__module__:
        return False
    return new.__module__ == "__main__" or new.__qualname__ == old.__qualname__


def _say(message: str, registries: tuple[str, ...]) -> None:
    """Warn at the caller's place, each time: a cell is executed again at the same place."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__") in registries:
        frame = frame.f_back
    place = frame.f_code.co_filename, frame.f_lineno
    warnings.warn_explicit(message, UserWarning, *place, registry=None)


def _kinship(base: type) -> str:
    if getattr(base, "_is_protocol", False):
        methods = sorted(name for name in vars(base) if not name.startswith("_"))
        return f"be a class with the methods {' and '.join(methods)}"
    return f"be a subclass of {base.__module__}.{base.__qualname__}"


@cache  # making one takes milliseconds, and a large study asks for the same few at each cell
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

    A parameter marked :data:`LATER` is left out where it has its default.

    Raises
    ------
    ConfigError
        See :meth:`Registry.resolve`; ``who`` begins its message.
    """
    try:
        values = model(**given)
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
    content = values.model_dump(mode="json", by_alias=True)
    changed = values.model_dump(exclude_defaults=True)
    for key, field in model.model_fields.items():
        if LATER in field.metadata and key not in changed:
            del content[key]
    return content


def worst(failure: ValidationError, given: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return the error of pydantic to tell the user, and where in the user's data it is.

    Of a union's members, all of which complain, the one that went deepest was meant; of a mapping,
    not the one that takes no mapping. An error's ``loc`` also names that member, which no user has
    written.
    """
    errors = [(error, _place(error, given)) for error in failure.errors()]
    deepest, place = max(errors, key=lambda each: len(each[1]))
    if _takes_no_mapping(deepest):
        alike = (error for error, where in errors if where == place)
        deepest = next((error for error in alike if not _takes_no_mapping(error)), deepest)
    return deepest, place


def _takes_no_mapping(error: Mapping[str, Any]) -> bool:
    return isinstance(error["input"], Mapping) and error["type"].endswith("_type")


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
