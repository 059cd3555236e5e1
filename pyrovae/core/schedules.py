"""Numbers that change with the step: data in a study's file, usable where a number is.

::

    lr: {schedule: cosine, from: 1.0e-3, to: 0, steps: 3000}
    beta: {schedule: linear, from: 0, to: 1, steps: 2000}
    beta: {schedule: cyclical, from: 0, to: 1, steps: 1000, ramp: 0.5, cycles: 4}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema


class _Ramp(BaseModel):
    """What the schedules share: from one value to another in a number of steps."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )

    start: float = Field(alias="from")
    to: float
    steps: int = Field(gt=0)

    @property
    def ends(self) -> float:
        """Steps after which the value is constant."""
        return self.steps

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

    cycles: int | None = Field(
        default=None, gt=0, description="number of cycles, then constant; without it, for ever"
    )

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        if step >= self.ends:
            return self.to
        return self._between(min(step % self.steps / (self.ramp * self.steps), 1.0))

    @property
    def ends(self) -> float:
        """Steps after which the value is constant: infinite without a number of cycles."""
        return math.inf if self.cycles is None else self.cycles * self.steps

    @model_serializer(mode="wrap")
    def _without_the_default(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs from before there was a number of cycles keep their identity.
        content: dict[str, Any] = serialise(self)
        if self.cycles is None:
            content.pop("cycles", None)
        return content


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


def values(value: float | Linear | Cosine | Cyclical | dict[str, Any]) -> tuple[float, ...]:
    """Return the extreme values that a number or schedule takes: what a bound must hold for."""
    if isinstance(value, dict):
        value = schedule(value)
    return (float(value),) if isinstance(value, int | float) else (value.start, value.to)


def ends(value: Any) -> float:
    """Return the step from which on a number, a schedule or its data is constant."""
    if isinstance(value, dict):
        value = schedule(value)
    return value.ends if isinstance(value, _Ramp) else 0


def unfinished(value: Any, steps: int) -> str | None:
    """Return how training of so many steps cuts a schedule, or its data, short; else ``None``."""
    if isinstance(value, dict):
        value = schedule(value)
    if not isinstance(value, Linear | Cosine | Cyclical) or value.to == value.start:
        return None
    last = value.at(steps - 1)
    if steps < value.ends < math.inf:
        told = f"its schedule takes {value.ends:,.0f} steps, and training has {steps:,}"
    elif value.ends == math.inf and value.at(steps) not in (value.to, value.start):
        told = f"training of {steps:,} steps ends within a cycle's ramp"
    else:
        return None
    return f"{told}: it ends at {last:.3g} instead of {value.to:g}"


def falls(value: Any) -> bool:
    """Return whether a number, a schedule or its data ever falls from one step to a later one."""
    if isinstance(value, dict):
        value = schedule(value)
    if not isinstance(value, _Ramp):
        return False
    return value.to < value.start or (isinstance(value, Cyclical) and value.to != value.start)


def is_schedule(value: Any) -> bool:
    """Return whether a value is a schedule, or the data of one."""
    return isinstance(value, _Ramp) or (isinstance(value, dict) and "schedule" in value)


@dataclass(frozen=True)
class Within:
    """Annotates a :data:`Number`: a number, or every value of a schedule, is within bounds."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after the type."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: Any) -> Any:
        for one in values(value):
            broken = self._broken(one)
            if broken is None:
                continue
            if not is_schedule(value):
                raise broken
            raise PydanticCustomError(
                "schedule_bound",
                "{problem} at every step, and the schedule reaches {reached}",
                {"problem": broken.message(), "reached": f"{one:g}"},
            )
        return value

    def _broken(self, value: float) -> PydanticKnownError | None:
        """Return the error of the first bound that a number breaks."""
        if self.gt is not None and not value > self.gt:
            return PydanticKnownError("greater_than", {"gt": self.gt})
        if self.ge is not None and not value >= self.ge:
            return PydanticKnownError("greater_than_equal", {"ge": self.ge})
        if self.lt is not None and not value < self.lt:
            return PydanticKnownError("less_than", {"lt": self.lt})
        if self.le is not None and not value <= self.le:
            return PydanticKnownError("less_than_equal", {"le": self.le})
        return None


#: A finite number, or a schedule of one.
Number = Annotated[float, Field(allow_inf_nan=False)] | Schedule
#: An objective's weight.
NotNegative = Annotated[Number, Within(ge=0)]
#: A scale, or a shape.
Positive = Annotated[Number, Within(gt=0)]


def _check_rate(rate: Any) -> Any:
    if min(values(rate)) < 0 or max(values(rate)) == 0:
        raise ValueError("a learning rate's schedule must not be negative, nor zero throughout")
    return rate


#: A learning rate; a schedule of it may end at 0.
LearningRate = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False)] | Schedule, AfterValidator(_check_rate)
]
