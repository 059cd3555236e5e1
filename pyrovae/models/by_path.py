"""Models of the user's own, by dotted path: ``model: mypackage.my_model:build``."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyro

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import parameters_of, resolved
from pyrovae.core.seeded import seeded
from pyrovae.models.contract import LatentModel
from pyrovae.models.own import UserModel


def resolve(name: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the parameters of a user's model and fill in its defaults.

    Returns
    -------
    dict
        ``name``, ``source`` (hash of the file that the model is in, so that a run is not taken for
        one of an edited model) and every parameter.

    Raises
    ------
    ConfigError
        If there is no such function, or it refuses a parameter.
    """
    build_function = _load(name)
    given = dict(parameters)
    source = _source(build_function)
    if given.pop("source", source) != source:
        raise ConfigError(f"model '{name}' has changed since this run was trained")
    values = resolved(parameters_of(build_function, "model"), given, f"model '{name}'")
    return {"name": name, "source": source, **values}


def build(
    config: Mapping[str, Any], event_shape: tuple[int, ...], latent_dim: int, *, seed: int
) -> LatentModel:
    """Build a user's model.

    Initial weights depend on ``seed`` alone: the global random state is neither read nor changed.

    Parameters
    ----------
    config
        What :func:`resolve` returned.
    event_shape, latent_dim
        The model's positional arguments.
    seed
        Of the initial weights.

    Raises
    ------
    ConfigError
        If the model is not what :class:`pyrovae.models.own.model.UserModel` asks for, or changed.
    """
    values = resolve(config["name"], {k: v for k, v in config.items() if k != "name"})
    name = values.pop("name")
    values.pop("source")
    with seeded(seed), pyro.settings.context(module_local_params=True):
        try:
            return UserModel(
                _load(name)(event_shape, latent_dim, **values), event_shape, latent_dim
            )
        except ConfigError as error:
            raise ConfigError(f"model '{name}' {error.message}") from None


def label(config: Mapping[str, Any]) -> str:
    """Return a model's short name: its parameters only where they are not the default."""
    fields = parameters_of(_load(config["name"]), "model").model_fields
    changed = [
        f"{key}={value}"
        for key, value in config.items()
        if key in fields and value != fields[key].default
    ]
    return config["name"] + (f"({', '.join(changed)})" if changed else "")


def make_importable(folder: Path) -> None:
    """Let modules in a study's folder be imported, and those of the working directory.

    Worker processes take over the import path.
    """
    for place in (str(folder.resolve()), str(Path.cwd())):
        if place not in sys.path:
            sys.path.append(place)


def _load(name: Any) -> Callable[..., Any]:
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
    except Exception as error:
        raise ConfigError(
            f"importing '{module_name}' fails: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        what = "has no" if found is None else "cannot be called at"
        raise ConfigError(f"module '{module_name}' {what} '{attribute}'")
    return found


def _source(function: Callable[..., Any]) -> str:
    path = inspect.getsourcefile(inspect.unwrap(function))
    if path is None:
        raise ConfigError("must be written in Python: its source is part of a run's identity")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
