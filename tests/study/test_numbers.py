"""Every number that a user may set refuses what makes no sense, in one clear error at planning."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from parameters import parameters, types_in
from pydantic import BaseModel, ValidationError

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.study.config.resolve import REGISTRIES, resolve_component
from pyrovae.training import TrainingSettings
from pyrovae.training.optimizers import OPTIMIZERS

ALL = {**REGISTRIES, "optimizer": OPTIMIZERS, "metric": METRICS}
#: Numbers for which 0 means something; all others refuse it.
ZERO = {
    "seed", "alpha", "beta", "gamma", "weight", "floor", "delta", "capacity", "off_diagonal",
    "diagonal", "until", "min_std", "weight_decay", "momentum", "dropout",
    "noise", "word_dropout", "labels", "commitment",
}  # fmt: skip
#: ... except where a name means another thing.
NOT_ZERO = {("delta", "weight"), ("info", "weight")}
#: Numbers for which 0 means something under one name only: no average is taken.
ZERO_OF = {("geco", "average")}
#: Of densities, a distortion may be negative.
ANY_SIGN = {("geco", "target")}


def _numeric(annotation: Any) -> set[type]:
    return types_in(annotation) & {int, float}


def _registered() -> Iterator[tuple[str, str, str, bool, Any]]:
    for kind, name, key, field in parameters(ALL):
        kinds = _numeric(field.annotation)
        if kinds:
            yield kind, name, key, typing.get_origin(field.annotation) is list, kinds


CASES = list(_registered())


def test_there_are_numbers_of_every_kind() -> None:
    assert {kind for kind, *_ in CASES} == {*ALL}
    assert len(CASES) > 80


@pytest.mark.parametrize(
    ("kind", "name", "key", "listed", "kinds"), CASES, ids=["-".join(c[:3]) for c in CASES]
)
def test_senseless_numbers_are_refused(
    kind: str, name: str, key: str, listed: bool, kinds: set[type]
) -> None:
    bad: list[Any] = [math.nan, math.inf, -math.inf, "1", True]
    if (name, key) not in ANY_SIGN:
        bad.append(-1)
    if (key not in ZERO or (name, key) in NOT_ZERO) and (name, key) not in ZERO_OF | ANY_SIGN:
        bad.append(0)
    if float not in kinds:
        bad.append(1.5)
    if key in ("scales", "split"):  # a list or mapping of numbers
        wrap = (lambda v: [v]) if key == "scales" else (lambda v: {"train": v, "test": 1})
    else:
        wrap = (lambda v: [v]) if listed or "hidden" in key else (lambda v: v)
    for value in bad:
        with pytest.raises(ConfigError) as error:
            _plan(kind, name, key, wrap(value))
        assert error.value.place.startswith((f"{kind}.{key}", key)), value
        assert "\n" not in str(error.value)


def _plan(kind: str, name: str, key: str, value: Any) -> None:
    needed = {"path": "x.npy"} if name in ("files", "text") else {}
    given = {"name": name, **needed, key: value}
    resolved = resolve_component(ALL[kind], given, kind, lambda path: path)
    if kind == "objective":  # what depends on two numbers is seen when it is made
        ALL[kind].create(**resolved)


def _settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, field in model.model_fields.items():
        inner = [
            part
            for part in (field.annotation, *typing.get_args(field.annotation))
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        if inner and "schedule" not in inner[0].model_fields:
            yield from _settings(inner[0], (*path, key))
        elif _numeric(field.annotation) and not inner:
            yield (*path, key)


@pytest.mark.parametrize(
    ("model", "path"),
    [(m, p) for m in (TrainingSettings, EvaluationSettings) for p in _settings(m)],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, "1"])
def test_senseless_settings_are_refused(
    model: type[BaseModel], path: tuple[str, ...], value: Any
) -> None:
    given: Any = value
    for key in reversed(path):
        given = {key: given}
    with pytest.raises(ValidationError):
        model(**given)
