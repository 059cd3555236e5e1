"""Executors: where tasks are executed. Each fulfils one small interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pyrovae.study.plan.batches import Task
from pyrovae.study.watch.events import Event


class Executor(Protocol):
    """Executes tasks somewhere; the store decides what is still to be done.

    So an executor keeps no state that matters: any can go on where another ended.
    """

    def submit(self, task: Task) -> None:
        """Add a task to those that will be executed."""

    def as_completed(self) -> Iterator[Event]:
        """Yield what happens, as it happens, until every task is over.

        Closing the iterator, or an exception where it is consumed, ends all work at once.
        """

    def stop(self) -> None:
        """Ask for an early end: nothing new is started, runs in training leave a checkpoint.

        May be called from a signal handler or another thread; ``as_completed`` then ends soon.
        """
