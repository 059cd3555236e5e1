"""Models of the user's own, by dotted path: ``model: mypackage.my_model:build``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro

from pyrovae.core import dotted
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
    build_function = dotted.load(name)
    given = dict(parameters)
    source = dotted.source_of(build_function)
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
                dotted.load(name)(event_shape, latent_dim, **values), event_shape, latent_dim
            )
        except ConfigError as error:
            raise ConfigError(f"model '{name}' {error.message}") from None


def label(config: Mapping[str, Any]) -> str:
    """Return a model's short name: its parameters only where they are not the default."""
    fields = parameters_of(dotted.load(config["name"]), "model").model_fields
    changed = [
        f"{key}={value}"
        for key, value in config.items()
        if key in fields and value != fields[key].default
    ]
    return config["name"] + (f"({', '.join(changed)})" if changed else "")
