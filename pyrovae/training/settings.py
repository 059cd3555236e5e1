"""What a user may set about training."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from pyrovae.core.schedules import LearningRate
from pyrovae.training.precision import Precision


class TrainingSettings(BaseModel):
    """How long and how a run is trained."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: int = Field(default=3000, gt=0, description="optimiser steps")
    batch_size: int = Field(default=128, gt=0, description="data points a step")
    lr: LearningRate = Field(default=1e-3, description="Adam's learning rate, or a schedule of it")
    records: int = Field(
        default=20, gt=0, description="how often, in equal distances, the history is recorded"
    )
    precision: Precision = Field(
        default="float32", description="arithmetic of the networks' layers: float32, tf32 or bf16"
    )

    @model_serializer(mode="wrap")
    def _without_the_default_precision(
        self, serialise: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        # A run in float32 is what it was before there was a choice, and keeps its identity.
        content: dict[str, Any] = serialise(self)
        if self.precision == "float32":
            content.pop("precision", None)
        return content
