"""Numbers that change with the step: data in a study's file, usable where a number is.

::

    lr: {schedule: cosine, from: 1.0e-3, to: 0, steps: 3000}
    beta: {schedule: linear, from: 0, to: 1, steps: 2000}
    beta: {schedule: cyclical, from: 0, to: 1, steps: 1000, ramp: 0.5, cycles: 4}
    lr: {schedule: piecewise, values: [1.0e-3, 1.0e-4], milestones: [2000]}

and, for the learning rate of a run alone, what depends on how training goes::

    lr: {schedule: plateau, from: 1.0e-3, factor: 0.1, patience: 10}
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema


class _Schedule(BaseModel):
    """What the schedules share."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )

    @property
    def extremes(self) -> tuple[float, ...]:
        """Values that all others lie between."""
        raise NotImplementedError

    @property
    def ends(self) -> float:
        """Steps after which the value is constant."""
        raise NotImplementedError

    @property
    def falls(self) -> bool:
        """Whether a value is ever below an earlier one."""
        raise NotImplementedError


class _Ramp(_Schedule):
    """From one value to another in a number of steps."""

    start: float = Field(alias="from")
    to: float
    steps: int = Field(gt=0)

    @property
    def extremes(self) -> tuple[float, ...]:
        """Its ends."""
        return self.start, self.to

    @property
    def ends(self) -> float:
        """Steps after which the value is constant."""
        return self.steps

    @property
    def falls(self) -> bool:
        """Whether it ends below its start."""
        return self.to < self.start

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

    @property
    def falls(self) -> bool:
        """Whether it goes back to its start, or ends below it."""
        return self.to != self.start

    @model_serializer(mode="wrap")
    def _without_the_default(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs from before there was a number of cycles keep their identity.
        content: dict[str, Any] = serialise(self)
        if self.cycles is None:
            content.pop("cycles", None)
        return content


class Piecewise(_Schedule):
    """Constant, with another value from each milestone on (Burda et al. 2016, sec. 5)."""

    schedule: Literal["piecewise"] = "piecewise"
    values: list[float] = Field(min_length=2, description="one after the other")
    milestones: list[Annotated[int, Field(gt=0)]] = Field(
        description="first step of each value but the first"
    )

    @model_validator(mode="after")
    def _fits(self) -> Piecewise:
        if len(self.milestones) != len(self.values) - 1:
            raise PydanticCustomError(
                "piecewise",
                "{n} values need {m} milestones, one before each but the first",
                {"n": len(self.values), "m": len(self.values) - 1},
            )
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            raise PydanticCustomError("piecewise", "milestones must rise")
        return self

    def at(self, step: int) -> float:
        """Return the value at a step, counted from 0."""
        return self.values[bisect_right(self.milestones, step)]

    @property
    def extremes(self) -> tuple[float, ...]:
        """All values."""
        return tuple(self.values)

    @property
    def ends(self) -> float:
        """The last milestone."""
        return self.milestones[-1]

    @property
    def falls(self) -> bool:
        """Whether a value is below the one before."""
        return any(later < earlier for earlier, later in pairwise(self.values))


class Plateau(_Schedule):
    """Falls by ``factor`` whenever the loss does not: of a learning rate (ReduceLROnPlateau)."""

    schedule: Literal["plateau"] = "plateau"
    start: float = Field(alias="from")
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=10, ge=0, description="records without a fall that are suffered")
    threshold: float = Field(default=1e-4, ge=0, lt=1, description="least fall, as a share")
    cooldown: int = Field(default=0, ge=0, description="records after a fall that do not count")
    to: float = Field(default=0.0, description="the least that it falls to")
    watch: Literal["loss", "validation"] = Field(
        default="loss", description="mean training loss until a record, or that on validation data"
    )

    @model_validator(mode="after")
    def _fits(self) -> Plateau:
        if self.to > self.start:
            raise PydanticCustomError("plateau", "it falls: 'to' must not be above 'from'")
        return self

    def rates(self, losses: Sequence[float]) -> list[float]:
        """Return the value after each record of a run, given the loss at each.

        The rule is that of :class:`torch.optim.lr_scheduler.ReduceLROnPlateau`; of a negative loss
        too, a fall is one by a share of its size.

        >>> Plateau(start=1.0, patience=1).rates([5.0, 4.0, 4.0, 4.5, 3.0])
        [1.0, 1.0, 1.0, 0.1, 0.1]
        """
        rate, best, bad, cooling = self.start, math.inf, 0, 0
        found = []
        for loss in losses:
            share = 1 - math.copysign(self.threshold, best)
            if loss < best * share:
                best, bad = loss, 0
            else:
                bad += 1
            if cooling:
                cooling, bad = cooling - 1, 0
            if bad > self.patience:
                rate, cooling, bad = max(rate * self.factor, self.to), self.cooldown, 0
            found.append(rate)
        return found

    @property
    def extremes(self) -> tuple[float, ...]:
        """Its start, and what it never falls below."""
        return self.start, self.to

    @property
    def ends(self) -> float:
        """Nobody knows before."""
        return math.inf

    @property
    def falls(self) -> bool:
        """It does nothing else."""
        return True


#: The schedules there are; the last is for a run's learning rate alone.
KINDS: tuple[type[_Schedule], ...] = (Linear, Cosine, Cyclical, Piecewise, Plateau)
_OfStep = Linear | Cosine | Cyclical | Piecewise
Schedule = Annotated[_OfStep, Field(discriminator="schedule")]
_SCHEDULE: TypeAdapter[_OfStep] = TypeAdapter(Schedule)
_OfRate = Annotated[_OfStep | Plateau, Field(discriminator="schedule")]
_RATE_SCHEDULE: TypeAdapter[_OfStep | Plateau] = TypeAdapter(_OfRate)


def schedule(data: dict[str, Any]) -> _OfStep:
    """Return the schedule that its data describe."""
    return _SCHEDULE.validate_python(data)


def at(value: float | _OfStep | dict[str, Any], step: int) -> float:
    """Return the value at a step, counted from 0, of a number or a schedule (or its data)."""
    if isinstance(value, dict):
        value = schedule(value)
    return float(value) if isinstance(value, int | float) else value.at(step)


def _read(value: Any) -> Any:
    """Return the schedule that data describe, and anything else as it is."""
    return _RATE_SCHEDULE.validate_python(value) if isinstance(value, dict) else value


def values(value: float | _OfStep | Plateau | dict[str, Any]) -> tuple[float, ...]:
    """Return the extreme values that a number or schedule takes: what a bound must hold for."""
    read = _read(value)
    return (float(read),) if isinstance(read, int | float) else read.extremes


def ends(value: Any) -> float:
    """Return the step from which on a number, a schedule or its data is constant."""
    value = _read(value)
    return value.ends if isinstance(value, _Schedule) else 0


def unfinished(value: Any, steps: int) -> str | None:
    """Return how training of so many steps cuts a schedule, or its data, short; else ``None``."""
    value = _read(value)
    if isinstance(value, Piecewise) and steps <= value.ends:
        told = f"its last milestone is step {value.ends:,.0f}, and training has {steps:,} steps"
        return f"{told}: it ends at {value.at(steps - 1):.3g} instead of {value.values[-1]:g}"
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
    value = _read(value)
    return isinstance(value, _Schedule) and value.falls


def is_schedule(value: Any) -> bool:
    """Return whether a value is a schedule, or the data of one."""
    return isinstance(value, _Schedule) or (isinstance(value, dict) and "schedule" in value)


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
#: The learning rate of a run, which may depend on how its training goes.
CourseRate = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False)] | _OfRate,
    AfterValidator(_check_rate),
]
