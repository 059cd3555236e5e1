"""What a running study publishes for others to watch: ``results/<study>/progress.json``.

The file is replaced whole: who reads it sees one moment, never half of one. Progress is published
at most once a second, and writing takes at most a tenth of the time, however many runs there are.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from pyrovae.core import atomic
from pyrovae.study.watch.events import Event

FILE = "progress.json"
#: Seconds between two writings.
_INTERVAL = 1.0
#: Time between two writings as a multiple of what the last one took.
_RARELY = 10
#: Losses that are kept for each run in training; every other one is dropped when it gets longer.
_KEPT = 60
#: What an event makes of a run; others leave it as it is.
_STATES = {
    "started": "training",
    "progress": "training",
    "done": "done",
    "diverged": "failed",
    "crashed": "failed",
    "lost": "waiting",
    "stopped": "stopped",
}


class RunProgress(BaseModel):
    """How far a run is.

    Attributes
    ----------
    name
        What tells it from others.
    state
        ``training``, ``done``, ``failed``, ``waiting`` (to be started again) or ``stopped``.
    step, steps
        Done, and to do.
    losses
        Some of the losses so far, evenly spaced; nats per datum.
    active_units
        At the last measurement along training, if there was one.
    started, ended
        Seconds since the epoch.
    reason
        Of a failure.
    """

    model_config = ConfigDict(extra="ignore")

    name: str
    state: str = "training"
    step: int = 0
    steps: int
    losses: list[float] = []
    active_units: int | None = None
    started: float
    ended: float | None = None
    reason: str = ""


class Snapshot(BaseModel):
    """A moment of a study: the content of the file.

    Attributes
    ----------
    study
        Its name.
    host, process
        Who runs it.
    started, updated
        Seconds since the epoch.
    total
        Runs of this execution; those that were finished before do not count.
    ended
        Whether the execution is over.
    runs
        By id, those that have been started.
    """

    model_config = ConfigDict(extra="ignore")

    study: str
    host: str
    process: int
    started: float
    updated: float
    total: int
    ended: bool = False
    runs: dict[str, RunProgress] = {}

    def is_running(self) -> bool:
        """Return whether the process that wrote this is still there, as far as this machine knows.

        On another machine it is taken to be, until it says that it has ended.
        """
        if self.ended:
            return False
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def read(root: Path) -> Snapshot | None:
    """Return the last moment that a study in ``results/<study>`` published, if it ever did."""
    try:
        return Snapshot.model_validate_json((root / FILE).read_text())
    except (FileNotFoundError, ValueError):  # pydantic's ValidationError is one
        return None


class Publisher:
    """An observer that keeps the progress file.

    Parameters
    ----------
    root
        ``results/<study>``.
    total
        Number of runs to come.
    names
        A short description of each run, by id.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        root: Path,
        total: int,
        names: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._names, self._clock = root, names, clock
        self._strides: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._took = 0.0
        now = clock()
        self._now = Snapshot(
            study=root.name,
            host=socket.gethostname(),
            process=os.getpid(),
            started=now,
            updated=-math.inf,
            total=total,
        )

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        self._now.ended = True
        self._write()

    def show(self, event: Event) -> None:
        """Take in an event; write at once unless the file is fresh: for mere progress, a second."""
        run = self._now.runs.get(event.run.id)
        if run is None or event.kind == "started":
            run = self._now.runs[event.run.id] = RunProgress(
                name=self._names[event.run.id],
                steps=event.run.config.training.steps,
                started=self._clock(),
            )
            self._strides[event.run.id] = 1
            self._seen[event.run.id] = 0
        run.state = _STATES.get(event.kind, run.state)
        if event.kind == "progress":
            run.step = event.step
            self._add_loss(event.run.id, run, event.loss)
            run.active_units = event.active_units
        elif run.state != "training":
            run.ended, run.reason = self._clock(), event.reason.split("\n")[0]
        rest = max(_RARELY * self._took, _INTERVAL if event.kind == "progress" else 0.0)
        if self._clock() - self._now.updated >= rest:
            self._write()

    def _add_loss(self, key: str, run: RunProgress, loss: float) -> None:
        """Keep losses evenly spaced over the whole training, whatever its length."""
        if self._seen[key] % self._strides[key] == 0 and math.isfinite(loss):
            run.losses.append(float(f"{loss:.6g}"))
        self._seen[key] += 1
        if len(run.losses) > _KEPT:
            run.losses = run.losses[::2]
            self._strides[key] *= 2

    def _write(self) -> None:
        self._now.updated, begun = self._clock(), time.perf_counter()
        content: dict[str, Any] = self._now.model_dump()
        atomic.write_text(self._root / FILE, json.dumps(content))
        self._took = time.perf_counter() - begun
