"""What a person sees while a study runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from pyrovae.study.watch.events import Event

#: Characters of a line that has room for long bars.
_WIDE = 100
#: Runs in flight that have a bar; of the others only the end is counted.
_MOST_BARS = 40


class Display(Protocol):
    """Something that shows events; used as a context manager around them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Show one event."""


def display(total: int, console: Console, names: dict[str, str], *, quiet: bool) -> Display:
    """Return the display that suits the place: bars, lines or nothing.

    Parameters
    ----------
    total
        Number of runs to come.
    console
        Where to write.
    names
        A short description of each run, by id.
    quiet
        Show nothing but failures.
    """
    if quiet:
        return _Lines(total, console, names, failures_only=True)
    return _Bars(total, console, names) if console.is_terminal else _Lines(total, console, names)


def _failure(event: Event, names: dict[str, str]) -> str:
    reason = event.reason.split("\n")[0]
    what = "starting again" if event.kind == "lost" else "failed"
    return f"{what} {event.run.id[:8]} {names[event.run.id]}: {reason}"


class _Lines:
    """One line for each run that starts or ends."""

    def __init__(
        self, total: int, console: Console, names: dict[str, str], *, failures_only: bool = False
    ) -> None:
        self._total, self._console, self._names = total, console, names
        self._failures_only = failures_only
        self._ended = 0
        self._started: dict[str, float] = {}
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        run, now = event.run, time.monotonic()
        if event.kind == "started":
            self._started[run.id] = now
        elif event.kind == "done":
            self._ended += 1
            if not self._failures_only:
                spent = now - self._started[run.id]
                what = f"{event.step:,} steps" if event.step else "measured again"
                left = (now - self._start) / self._ended * (self._total - self._ended)
                self._print(
                    f"[{self._ended}/{self._total}] done {run.id[:8]} {self._names[run.id]}: "
                    f"{what}, {spent:.0f} s, about {_clock(left)} left"
                )
        elif event.kind in ("diverged", "crashed"):
            self._ended += 1
            self._print(f"[{self._ended}/{self._total}] {_failure(event, self._names)}")
        elif event.kind == "lost":
            self._print(_failure(event, self._names))

    def _print(self, line: str) -> None:
        # A log that nobody has given a width keeps whole lines, for grep.
        fits = self._console.is_terminal or "COLUMNS" in os.environ
        self._console.print(line, soft_wrap=not fits, highlight=False, markup=False)


class _Bars:
    """A bar for the study, and one for each run in flight, as far as a terminal has lines."""

    def __init__(self, total: int, console: Console, names: dict[str, str]) -> None:
        self._names, self._console = names, console
        self._progress = Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=24 if console.width >= _WIDE else 6),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            expand=True,
        )
        self._all = self._progress.add_task("study", total=total, note="runs")
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        run = event.run
        if event.kind == "started":
            if len(self._tasks) < _MOST_BARS:
                self._tasks[run.id] = self._progress.add_task(
                    f"  {self._names[run.id]}", total=run.config.training.steps, note="compiling"
                )
        elif event.kind == "progress":
            if run.id not in self._tasks:
                return
            task = self._tasks[run.id]
            speed = self._progress.tasks[self._progress.task_ids.index(task)].speed
            note = f"{speed:.0f} steps/s, loss {event.loss:.1f}" if speed else "steps"
            if event.step == run.config.training.steps:
                note = "evaluating"
            self._progress.update(task, completed=event.step, note=note)
        else:
            if run.id in self._tasks:
                self._progress.remove_task(self._tasks.pop(run.id))
            if event.kind not in ("lost", "stopped"):
                self._progress.advance(self._all)
            if event.kind not in ("done", "stopped"):
                self._console.print(
                    _failure(event, self._names), style="red", highlight=False, markup=False
                )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
