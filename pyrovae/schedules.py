"""Numbers that change with the step: data in a study's file, usable where a number is.

::

    lr: {schedule: cosine, from: 1.0e-3, to: 0, steps: 3000}
    beta: {schedule: linear, from: 0, to: 1, steps: 2000}
    beta: {schedule: cyclical, from: 0, to: 1, steps: 1000, ramp: 0.5}
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter


class _Ramp(BaseModel):
    """What the schedules share: from one value to another in a number of steps."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, serialize_by_alias=True
    )

    start: float = Field(alias="from")
    to: float
    steps: int = Field(gt=0)

    def _between(self, fraction: float) -> float:
        return self.start + (self.to - self.start) * fraction


class Linear(_Ramp):
    """A straight line over ``steps`` steps, then constant (Bowman et al. 2016, sec. 3.1)."""

    schedule: Literal["linear"] = "linear"

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        return self._between(min(step / self.steps, 1.0))


class Cosine(_Ramp):
    """Half a cosine wave over ``steps`` steps, then constant (Loshchilov & Hutter 2017, eq. 5)."""

    schedule: Literal["cosine"] = "cosine"

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        return self._between((1 - math.cos(math.pi * min(step / self.steps, 1.0))) / 2)


class Cyclical(_Ramp):
    """Cycles of ``steps`` steps: a linear ramp, then constant (Fu et al. 2019, eq. 6-7)."""

    schedule: Literal["cyclical"] = "cyclical"
    ramp: float = Field(default=0.5, gt=0, le=1, description="share of a cycle that rises")

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        return self._between(min(step % self.steps / (self.ramp * self.steps), 1.0))


#: The schedules there are.
KINDS: tuple[type[_Ramp], ...] = (Linear, Cosine, Cyclical)
Schedule = Annotated[Linear | Cosine | Cyclical, Field(discriminator="schedule")]
_SCHEDULE: TypeAdapter[Linear | Cosine | Cyclical] = TypeAdapter(Schedule)


def schedule(data: dict[str, Any]) -> Linear | Cosine | Cyclical:
    """Return the schedule that its data describe."""
    return _SCHEDULE.validate_python(data)


def at(value: float | Linear | Cosine | Cyclical | dict[str, Any], step: int) -> float:
    """Return the value at a step, counted from 0, of a number or a schedule (or its data)."""
    if isinstance(value, dict):
        value = schedule(value)
    return float(value) if isinstance(value, int | float) else value.at(step)


def values(value: float | Linear | Cosine | Cyclical) -> tuple[float, ...]:
    """Return the extreme values that a number or schedule takes: what a bound must hold for."""
    return (float(value),) if isinstance(value, int | float) else (value.start, value.to)


def _check_not_negative(value: float | Linear | Cosine | Cyclical) -> Any:
    if min(values(value)) < 0:
        raise ValueError(f"must not be negative, got {min(values(value))} in a schedule")
    return value


#: A number of at least 0, or a schedule that never falls below 0: an objective's weight.
NotNegative = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=False)] | Schedule,
    AfterValidator(_check_not_negative),
]
