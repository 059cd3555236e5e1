"""What is told while a study runs, from whoever executes to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyrovae.study.plan.planning import PlannedRun


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes
    ----------
    kind
        ``started``, ``progress``, then one of: ``done``; ``diverged``; ``crashed``; ``lost`` (its
        process is gone, it will be started again); ``stopped`` (asked to end before its time).
    run
        The run that it is about.
    step, loss
        For ``progress``. A run that is ``done`` has the step that its training ended at; 0 if it
        was only measured again.
    active_units
        For ``progress``: at the last measurement along training; ``None`` before the first.
    reason
        For ``diverged``, ``crashed`` and ``lost``.
    """

    kind: str
    run: PlannedRun
    step: int = 0
    loss: float = float("nan")
    reason: str = ""
    active_units: int | None = None


Tell = Callable[[Event], None]
