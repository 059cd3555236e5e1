"""What a user may set about training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pyrovae.schedules import LearningRate


class TrainingSettings(BaseModel):
    """How long and how a run is trained."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: int = Field(default=3000, gt=0, description="optimiser steps")
    batch_size: int = Field(default=128, gt=0, description="data points a step")
    lr: LearningRate = Field(default=1e-3, description="Adam's learning rate, or a schedule of it")
    records: int = Field(
        default=20, gt=0, description="how often, in equal distances, the history is recorded"
    )
