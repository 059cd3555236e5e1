"""When the numbers of a run that are scheduled come to rest, and whether training sees that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrovae.core.schedules import ends, is_schedule, unfinished
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.config.run import RunConfig

_PARTS = ("prior", "posterior", "likelihood", "network")


def constant_from(config: RunConfig) -> float:
    """Return the step from which on no scheduled number of a run changes, the learning rate apart.

    Infinite if one never stops.
    """
    content = config.model_dump()
    entry, parameters = _objective(content)
    values = [ends(value) for _, value in _of_model(content)]
    return max(entry.constant_from(parameters), *values, 0)


def cut_short(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield place and remark of each schedule that training ends before.

    What was trained then is another objective than the one that the schedule leads to.
    """
    content, steps = config.model_dump(), config.training.steps
    entry, parameters = _objective(content)
    yield from entry.cut_short(parameters, steps).items()
    for place, value in (*_of_model(content), ("training.lr", content["training"]["lr"])):
        remark = unfinished(value, steps)
        if remark:
            yield place, remark


def _objective(content: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the class of a run's objective, and its parameters."""
    parameters = {key: value for key, value in content["objective"].items() if key != "name"}
    return OBJECTIVES[content["objective"]["name"]], parameters


def _of_model(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in _PARTS:
        yield from _inside(content[part], part)


def _inside(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield place and value of each schedule in plain data: mixed columns have some too."""
    if is_schedule(value):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _inside(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _inside(inner, f"{place}[{i}]")
