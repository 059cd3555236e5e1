"""Training: one loop, one traced and compiled step."""

from __future__ import annotations

from pyrovae.training.loop import Diverged, Ended, Member, Record, Snapshot, Stopped, Trainer
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.step import LossProgram

__all__ = [
    "Diverged",
    "Ended",
    "LossProgram",
    "Member",
    "Record",
    "Snapshot",
    "Stopped",
    "Trainer",
    "TrainingSettings",
]
