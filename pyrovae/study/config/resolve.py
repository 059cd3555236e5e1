"""One run's content, validated, with every default filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.core.registry import Registry, worst
from pyrovae.datasets import DATASETS, own
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.disentanglement.asked import keys_of
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.models import by_path as user_models
from pyrovae.models.layered.settings import Layers
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.networks import NETWORKS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.config.condition import ConditionSettings
from pyrovae.study.config.layout import shown
from pyrovae.study.config.run import MODEL_PARTS
from pyrovae.training import TrainingSettings
from pyrovae.training.optimizers import OPTIMIZERS

REGISTRIES: dict[str, Registry] = {
    "dataset": DATASETS,
    "network": NETWORKS,
    "prior": PRIORS,
    "posterior": POSTERIORS,
    "likelihood": LIKELIHOODS,
    "objective": OBJECTIVES,
}
SETTINGS: dict[str, type[BaseModel]] = {
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
}
#: Parts that most runs do without.
PARTS: dict[str, type[BaseModel]] = {"condition": ConditionSettings, "layers": Layers}
#: Registries of what settings name, by the dotted path of the setting.
INSIDE: dict[str, Registry] = {
    "training.optimizer": OPTIMIZERS,
    "evaluation.metrics": METRICS,
    "evaluation.samplers": SAMPLERS,
}
#: From a dotted path inside a run to its place in the user's file.
Place = Callable[[str], str]


def resolve(content: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Validate one run's content and fill in every default.

    Raises
    ------
    ConfigError
        For what is missing, unknown or of a wrong type, with its place.
    """
    resolved: dict[str, Any] = {}
    own = "model" in content
    if own:
        resolved["model"] = resolve_model(content["model"], place)
    for key, registry in REGISTRIES.items():
        if own and key in MODEL_PARTS:
            if key in content:
                raise ConfigError(f"the {key} is decided by 'model'; leave it out", place(key))
        elif key not in content:
            raise ConfigError(f"is missing: a run needs a {key}", f"base.{key}")
        else:
            resolved[key] = resolve_component(registry, content[key], key, place)
    if content.get("condition") is not None:
        if own:
            raise ConfigError(
                "is for models of built-in parts: a user's own model is handed observations alone",
                place("condition"),
            )
        resolved["condition"] = _resolve_settings(
            ConditionSettings, content["condition"], "condition", place
        )
    latent_dim = content.get("latent_dim")
    if content.get("layers") is not None:
        layers = resolve_layers(content, place)
        if latent_dim not in (None, layers.total):
            raise ConfigError(
                f"is the units of all layers, {layers.total} here: leave it out",
                place("latent_dim"),
            )
        resolved["layers"], latent_dim = layers, layers.total
    if type(latent_dim) is not int or latent_dim < 1:
        problem = "is missing" if latent_dim is None else f"got {shown(latent_dim)}"
        raise ConfigError(f"must be a whole number of at least 1, {problem}", place("latent_dim"))
    resolved["latent_dim"] = latent_dim
    for key, model in SETTINGS.items():
        resolved[key] = _resolve_settings(model, content.get(key, {}), key, place)
    optimizer = resolve_component(
        OPTIMIZERS, resolved["training"].optimizer, "training.optimizer", place
    )
    resolved["training"] = resolved["training"].model_copy(update={"optimizer": optimizer})
    metrics = [
        resolve_component(METRICS, metric, f"evaluation.metrics[{i}]", place)
        for i, metric in enumerate(resolved["evaluation"].metrics)
    ]
    try:
        keys_of(metrics)
    except ConfigError as error:
        where = place(f"evaluation.metrics{error.place}")
        raise ConfigError(error.message, where) from None
    samplers = [
        resolve_component(SAMPLERS, sampler, f"evaluation.samplers[{i}]", place)
        for i, sampler in enumerate(resolved["evaluation"].samplers)
    ]
    resolved["evaluation"] = resolved["evaluation"].model_copy(
        update={"metrics": metrics, "samplers": samplers}
    )
    return resolved


def resolve_layers(content: Mapping[str, Any], place: Place) -> Layers:
    """Return the layers of a run, their families with every parameter.

    Raises
    ------
    ConfigError
        For what is unknown or of a wrong type, and beside parts that layers do not go with.
    """
    if "model" in content:
        raise ConfigError(
            "is for models of built-in parts: a user's own model makes its own", place("layers")
        )
    if content.get("condition") is not None:
        raise ConfigError("does not go with layers yet: leave one out", place("condition"))
    layers = _resolve_settings(Layers, content["layers"], "layers", place)
    assert isinstance(layers, Layers)
    families: dict[str, Any] = {}
    for key, registry in (("priors", PRIORS), ("posteriors", POSTERIORS)):
        given = getattr(layers, key)
        if given is not None:
            families[key] = [
                resolve_component(registry, part, f"layers.{key}[{i}]", place)
                for i, part in enumerate(given)
            ]
    return layers.model_copy(update=families)


def resolve_component(registry: Registry, value: Any, path: str, place: Place) -> dict[str, Any]:
    """Return ``{"name": …, **every parameter}``.

    Parameters
    ----------
    registry
        Where the name is looked up.
    value
        ``{"name": …, **some parameters}``.
    path, place
        Where the component stands in a run, and the function that tells where that is in the file.

    Raises
    ------
    ConfigError
        For an unknown name or a parameter that the entry refuses.
    """
    name, parameters = _named(value, f"{registry.kind}'s name", place(path))
    if registry is DATASETS and dotted.is_path(name):
        return _resolve_own(own.resolve, name, parameters, path, place)
    if not isinstance(name, str) or name not in registry:
        raise ConfigError(
            f"unknown {registry.kind} '{name}'{did_you_mean(str(name), registry)}",
            place(f"{path}.name"),
        )
    try:
        return {"name": name, **registry.resolve(name, parameters)}
    except ConfigError as error:
        where = place(f"{path}.{error.place}" if error.place else path)
        raise ConfigError(error.message, where) from None


def resolve_model(value: Any, place: Place) -> dict[str, Any]:
    """Return ``{"name": …, "source": …, **every parameter}`` of a user's own model.

    Raises
    ------
    ConfigError
        If there is nothing at that dotted path, or it refuses a parameter.
    """
    name, parameters = _named(value, "dotted path 'package.module:function'", place("model"))
    return _resolve_own(user_models.resolve, name, parameters, "model", place)


def _resolve_own(
    resolve: Callable[[Any, Mapping[str, Any]], dict[str, Any]],
    name: Any,
    parameters: Mapping[str, Any],
    path: str,
    place: Place,
) -> dict[str, Any]:
    try:
        return resolve(name, parameters)
    except ConfigError as error:
        where = place(f"{path}.{error.place}" if error.place else path)
        raise ConfigError(error.message, where) from None


def _named(value: Any, what: str, place: str) -> tuple[Any, dict[str, Any]]:
    if not isinstance(value, Mapping) or "name" not in value:
        raise ConfigError(f"must be a {what} or a mapping with 'name', got {shown(value)}", place)
    return value["name"], {key: inner for key, inner in value.items() if key != "name"}


def _resolve_settings(model: type[BaseModel], value: Any, path: str, place: Place) -> BaseModel:
    if not isinstance(value, Mapping):
        raise ConfigError(f"must be a mapping, got {shown(value)}", place(path))
    try:
        return model(**value)
    except ValidationError as failure:
        first, inside = worst(failure, value)
        where = ".".join([path, *inside])
        if first["type"] == "extra_forbidden":
            known = model.model_fields
            raise ConfigError(
                f"unknown key{did_you_mean(str(first['loc'][-1]), known)}", place(where)
            ) from None
        raise ConfigError(f"{first['msg']}, got {shown(first['input'])}", place(where)) from None
