"""The local executor: one process for each core, one thread in each."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pyro
import torch
from threadpoolctl import threadpool_limits

from pyrovae.datasets import Dataset
from pyrovae.study.execution import Executor
from pyrovae.study.plan import PlannedRun
from pyrovae.study.store import Store
from pyrovae.training import Diverged


@dataclass(frozen=True)
class Event:
    """What a worker tells.

    Attributes
    ----------
    kind
        ``started``, ``progress``, ``done``, ``diverged`` or ``crashed``.
    run
        The run that it is about.
    step, loss
        For ``progress``.
    reason
        For ``diverged`` and ``crashed``.
    """

    kind: str
    run: PlannedRun
    step: int = 0
    loss: float = float("nan")
    reason: str = ""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalPool:
    """Runs tasks in processes of their own, which outlive a run so that compiled steps do too.

    A worker that dies takes its run with it, not the study: the death is an event, and another
    worker takes its place.

    Parameters
    ----------
    store
        Where results go.
    datasets
        By fingerprint; their tensors are shared with the workers, not copied.
    workers
        Number of processes.
    compiled
        Whether training steps are compiled.
    """

    def __init__(
        self, store: Store, datasets: dict[str, Dataset], *, workers: int, compiled: bool
    ) -> None:
        self._arguments = (store.root, datasets, compiled)
        self._context = torch.multiprocessing.get_context("spawn")
        self._size = workers
        self._workers: dict[Connection, _Worker] = {}

    def run(self, runs: Sequence[PlannedRun]) -> Iterator[Event]:
        """Execute the runs; yield what happens as it happens.

        Closing the iterator, or an exception at the place where it is consumed, ends the workers.
        """
        pending = list(runs)
        try:
            for _ in range(min(self._size, len(pending))):
                yield self._assign(self._start(), pending)
            while self._workers:
                # A worker that dies hangs up: its pipe is ready too, and tells the end of file.
                for connection in wait(list(self._workers)):
                    assert isinstance(connection, Connection)
                    yield from self._listen(self._workers[connection], pending)
        finally:
            for worker in self._workers.values():
                worker.process.kill()
            for worker in self._workers.values():
                worker.process.join()
            self._workers.clear()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers[ours] = worker
        return worker

    def _assign(self, worker: _Worker, pending: list[PlannedRun]) -> Event:
        """Give a worker the run that suits it best.

        That is one whose compiled step it has, else one that no other worker has, else any.
        """
        busy = {w.run.structure for w in self._workers.values() if w.run and w is not worker}
        last = worker.run.structure if worker.run else None
        run = min(pending, key=lambda r: (r.structure != last, r.structure in busy))
        pending.remove(run)
        worker.run = run
        worker.connection.send(run)
        return Event("started", run)

    def _listen(self, worker: _Worker, pending: list[PlannedRun]) -> Iterator[Event]:
        try:
            event: Event = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._bury(worker, pending)
            return
        yield event
        if event.kind == "progress":
            return
        if pending:
            yield self._assign(worker, pending)
        else:
            self._dismiss(worker)

    def _bury(self, worker: _Worker, pending: list[PlannedRun]) -> Iterator[Event]:
        self._dismiss(worker)
        assert worker.run is not None
        code = worker.process.exitcode
        reason = (
            f"its process was ended by {signal.Signals(-code).name}"
            if code < 0
            else f"its process ended with exit code {code}"
        )
        yield Event("crashed", worker.run, reason=reason)
        if pending:
            yield self._assign(self._start(), pending)

    def _dismiss(self, worker: _Worker) -> None:
        worker.connection.close()
        del self._workers[worker.connection]
        worker.process.join()


class _Worker:
    """A process and what it is doing."""

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.run: PlannedRun | None = None


class _Teller:
    """Sends a run's progress to the runner."""

    def __init__(self, connection: Connection, run: PlannedRun) -> None:
        self._connection, self._run = connection, run

    def __call__(self, step: int, loss: float) -> None:
        self._connection.send(Event("progress", self._run, step=step, loss=loss))


def _work(connection: Connection, root: Path, datasets: dict[str, Dataset], compiled: bool) -> None:
    """Execute runs until the other end hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides what Ctrl-C means
    torch.set_num_threads(1)
    threadpool_limits(1)  # scikit-learn's and BLAS's threads would fight the other workers'
    pyro.enable_validation(False)
    executor = Executor(Store(root), compiled=compiled)
    while True:
        try:
            run: PlannedRun = connection.recv()
        except (EOFError, OSError):
            return
        try:
            executor.execute(run, datasets[run.fingerprint], _Teller(connection, run))
            connection.send(Event("done", run))
        except Diverged as failure:
            connection.send(Event("diverged", run, reason=str(failure)))
        except (BrokenPipeError, ConnectionResetError):
            return  # the runner is gone, and with it the reason to go on
        except Exception as failure:
            told = traceback.format_exception_only(failure)[-1].strip()
            connection.send(Event("crashed", run, reason=f"{told}\n{traceback.format_exc()}"))
