"""What a user may set about training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pyrovae.core.registry import parameters_of, resolved
from pyrovae.core.schedules import CourseRate, Plateau, falls
from pyrovae.training.optimizers import Adam
from pyrovae.training.precision import Precision

#: A number that gradients are kept below.
Bound = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Rates(BaseModel):
    """Factors on the learning rate, for groups of parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    guide: Bound = Field(default=1.0, description="of the parameters of q(z|x)")
    model: Bound = Field(default=1.0, description="of decoder, prior and likelihood")
    objective: Bound = Field(
        default=1.0, description="of an objective's own, a discriminator's say, on their own rate"
    )


def _named(value: Any) -> Any:
    """Return an optimiser as a mapping; whether there is one of its name is not asked here.

    Results are read where a plug-in of theirs need not be, and without importing what a dotted path
    names.
    """
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise PydanticCustomError("part", "must be an optimizer's name or a mapping with 'name'")
    return dict(value)


# Not asked of the registry, which would load plug-ins, which may import this module.
_ADAM = {"name": "adam", **resolved(parameters_of(Adam, "adam"), {}, "optimizer 'adam'")}


class TrainingSettings(BaseModel):
    """How long and how a run is trained."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: int = Field(
        default=3000, gt=0, description="optimiser steps; with until: settled, the most of them"
    )
    until: Literal["steps", "settled", "validation"] = Field(
        default="steps",
        description="train for so many steps, until bound and counts of units stand still, or "
        "until the loss on the validation split no longer falls",
    )
    patience: int = Field(
        default=10,
        gt=0,
        description="with until: validation, records in a row without a lower loss on the "
        "validation split after which training ends; counted once all schedules are over",
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="parameters that the run ends with: the last, or those of the record with the "
        "lowest loss on the validation split, once all schedules are over",
    )
    batch_size: int = Field(default=128, gt=0, description="data points a step")
    lr: CourseRate = Field(default=1e-3, description="learning rate, or a schedule of it")
    records: int = Field(
        default=20, gt=0, description="how often, in equal distances, the history is recorded"
    )
    precision: Precision = Field(
        default="float32", description="arithmetic of the networks' layers: float32, tf32 or bf16"
    )
    optimizer: Annotated[dict[str, Any], BeforeValidator(_named)] = Field(
        default=_ADAM, description="what moves parameters: a name, or a mapping with parameters"
    )
    clip_value: Bound | None = Field(
        default=None, description="most that an element of a gradient may be"
    )
    clip_norm: Bound | None = Field(
        default=None, description="most that the norm of all gradients together may be"
    )
    rates: Rates = Field(
        default=Rates(), description="factors on the learning rate: guide, model, objective"
    )

    @property
    def validates(self) -> bool:
        """Whether a validation split decides anything."""
        watched = isinstance(self.lr, Plateau) and self.lr.watch == "validation"
        return self.until == "validation" or self.keep == "best" or watched

    @model_validator(mode="after")
    def _patient_with_something(self) -> TrainingSettings:
        if self.until != "validation" and "patience" in self.model_fields_set:
            raise ValueError("patience goes with until: validation")
        return self

    @model_validator(mode="after")
    def _falls_once(self) -> TrainingSettings:
        if self.until == "settled" and falls(self.lr):
            raise ValueError(
                "until: settled lets the learning rate fall by itself once the run is settled: "
                "give lr as a number, or as a schedule that does not fall"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A run is what it was before there was a choice, and keeps its identity.
        content: dict[str, Any] = serialise(self)
        for name, default in _LATER:
            if name in content and content[name] == default:
                del content[name]
        if "optimizer" in content and _ADAM | self.optimizer == _ADAM:
            del content["optimizer"]
        if self.until != "validation":
            content.pop("patience", None)
        return content


#: Settings that came after runs had been stored, and what stands for their absence.
_LATER = (
    ("precision", "float32"),
    ("until", "steps"),
    ("keep", "last"),
    ("clip_value", None),
    ("clip_norm", None),
    ("rates", Rates().model_dump()),
)
