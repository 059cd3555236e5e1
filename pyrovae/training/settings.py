"""What a user may set about training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pyrovae.core.schedules import LearningRate, falls
from pyrovae.training.precision import Precision


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
    lr: LearningRate = Field(default=1e-3, description="Adam's learning rate, or a schedule of it")
    records: int = Field(
        default=20, gt=0, description="how often, in equal distances, the history is recorded"
    )
    precision: Precision = Field(
        default="float32", description="arithmetic of the networks' layers: float32, tf32 or bf16"
    )

    @property
    def validates(self) -> bool:
        """Whether a validation split decides anything."""
        return self.until == "validation" or self.keep == "best"

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
        for name, default in (("precision", "float32"), ("until", "steps"), ("keep", "last")):
            if content.get(name) == default:
                del content[name]
        if self.until != "validation":
            content.pop("patience", None)
        return content
