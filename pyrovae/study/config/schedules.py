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
    values = [ends(value) for _, value in _of_model(config.model_dump())]
    return max(_objective_constant_from(config), *values, 0)


def cut_short(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield place and remark of each schedule that training ends before.

    What was trained then is another objective than the one that the schedule leads to.
    """
    content, steps = config.model_dump(), config.training.steps
    objective = content["objective"]
    schedules = OBJECTIVES[objective["name"]].schedules(_parameters(objective))
    places = [
        *((f"objective.{key}", value) for key, value in schedules.items()),
        *_of_model(content),
        ("training.lr", content["training"]["lr"]),
    ]
    for place, value in places:
        remark = unfinished(value, steps)
        if remark:
            yield place, remark
    until = _objective_constant_from(config)
    if not schedules and steps < until:
        yield "objective", f"it changes until step {until:,.0f}, and training has {steps:,}"


def _objective_constant_from(config: RunConfig) -> float:
    entry = OBJECTIVES[config.objective["name"]]
    return entry.constant_from(_parameters(config.model_dump()["objective"]))


def _parameters(component: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in component.items() if key != "name"}


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
