"""The inline executor: tasks one after the other in this process, for notebooks and debuggers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pyro
import torch
from threadpoolctl import threadpool_limits

from pyrovae.datasets import Dataset
from pyrovae.study.execute.execution import CHECKPOINT_SECONDS, Execution, crash
from pyrovae.study.plan.batches import Task
from pyrovae.study.plan.compiling import Compiled
from pyrovae.study.store.folders import Store
from pyrovae.study.watch.events import Event


class InlineExecutor:
    """Executes tasks in a thread of this process: nothing is forked, every class is at hand.

    The numbers are those of the local executor: one thread computes, and Pyro's checks are off
    meanwhile. Random state and settings of the process are as before afterwards.

    Parameters
    ----------
    store
        Where results go.
    datasets
        By fingerprint.
    compiled
        Whether training steps are compiled, or the programs of which they are.
    device
        ``cpu``, ``cuda:0``, …
    checkpoint_seconds
        Time between checkpoints of a run.
    """

    def __init__(
        self,
        store: Store,
        datasets: dict[str, Dataset],
        *,
        compiled: Compiled,
        device: str = "cpu",
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._datasets = datasets
        self._stopping = threading.Event()
        self._pending: list[Task] = []
        self._execution = Execution(
            store,
            compiled=compiled,
            device=device,
            stop=self._stopping.is_set,
            checkpoint_seconds=checkpoint_seconds,
        )

    def submit(self, task: Task) -> None:
        """Add a task."""
        self._pending.append(task)

    def stop(self) -> None:
        """Start nothing new; the run in training leaves a checkpoint."""
        self._stopping.set()

    def as_completed(self) -> Iterator[Event]:
        """Yield what happens until every task is over, or the one in hand has been stopped."""
        told: SimpleQueue[Event | None] = SimpleQueue()
        # The thread that shows progress stays free to, and Ctrl-C reaches it at once.
        worker = threading.Thread(target=self._work, args=(told,), daemon=True)
        threads = torch.get_num_threads()
        try:
            with pyro.validation_enabled(False), threadpool_limits(1), torch.random.fork_rng([]):
                worker.start()
                try:
                    while (event := told.get()) is not None:
                        yield event
                finally:
                    self._stopping.set()
                    worker.join()
        finally:
            torch.set_num_threads(threads)

    def _work(self, told: SimpleQueue[Event | None]) -> None:
        torch.set_num_threads(1)
        try:
            while self._pending and not self._stopping.is_set():
                task = self._pending.pop(0)
                for run in task.runs:
                    told.put(Event("started", run))
                try:
                    dataset = self._datasets[task.runs[0].fingerprint]
                    self._execution.execute(task, dataset, told.put)
                except Exception as failure:
                    for run in task.runs:
                        told.put(crash(run, failure))
        finally:
            told.put(None)
