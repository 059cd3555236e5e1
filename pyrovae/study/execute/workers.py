"""The local executor: one process for each core or GPU, one thread in each."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pyro
import torch
from threadpoolctl import threadpool_limits

from pyrovae.datasets import Dataset
from pyrovae.study.execute.execution import CHECKPOINT_SECONDS, Execution, crash
from pyrovae.study.execute.memory import keep_shared
from pyrovae.study.plan.batches import Task
from pyrovae.study.plan.compiling import Compiled
from pyrovae.study.store.folders import Store
from pyrovae.study.watch.events import Event
from pyrovae.training.step import use_persistent_cache

#: Workers that are forked from one process in which nothing but imports happened start at once and
#: share the memory of what is imported. Elsewhere than on Linux, libraries do not bear a fork.
_START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
#: What a worker needs sooner or later and imports only then: what traces a step, measures a run and
#: writes its results. Names that a version does not have are passed over.
_PRELOADED = [
    __name__,
    "torch._dynamo",
    "torch._inductor",
    "scipy.stats",
    "sklearn.ensemble",
    "pyrovae.study.execute.preloaded",
    "h5netcdf.legacyapi",
    "pyarrow.parquet",
]
#: The compiler and its parts, where steps are compiled.
_COMPILERS = [
    "torch._inductor.compile_fx",
    "torch._inductor.codegen.cuda_combined_scheduling",
    "torch._inductor.codegen.wrapper_fxir",
    "torch.distributed.tensor.experimental",
    "torch.export._trace",
    "torch.utils.cpp_extension",
]
#: How often a run is started again whose process was ended from outside.
_RESTARTS = 1
#: What workers get to leave checkpoints, and to end the evaluation that they are at.
_GRACE_SECONDS = 30.0


class LocalExecutor:
    """Executes tasks in processes of their own, which outlive a task so that compiled steps do too.

    A worker that dies takes at most the time since its last checkpoint with it: its runs are
    started again, once, by another.

    Parameters
    ----------
    store
        Where results go.
    datasets
        By fingerprint; their memory is shared with the workers, not copied.
    workers
        Number of processes.
    compiled
        Whether training steps are compiled, or the programs of which they are.
    devices
        Dealt out to the workers in turn.
    checkpoint_seconds
        Time between checkpoints of a run.
    """

    def __init__(
        self,
        store: Store,
        datasets: dict[str, Dataset],
        *,
        workers: int,
        compiled: Compiled,
        devices: Sequence[str] = ("cpu",),
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._devices = list(devices)
        shared = {key: _shared(dataset) for key, dataset in datasets.items()}
        self._arguments = (store.root, shared, compiled, checkpoint_seconds)
        self._context: Any = torch.multiprocessing.get_context(_START_METHOD)
        if _START_METHOD == "forkserver":
            self._context.set_forkserver_preload(_PRELOADED + (_COMPILERS if compiled else []))
        self._size = workers
        self._workers: dict[Connection, _Worker] = {}
        self._pending: list[Task] = []
        self._restarts: dict[str, int] = {}
        self._deadline = float("inf")

    def submit(self, task: Task) -> None:
        """Add a task; those of one program should come together."""
        self._pending.append(task)

    def stop(self) -> None:
        """Start nothing new and ask the workers to leave checkpoints."""
        self._deadline = time.monotonic() + _GRACE_SECONDS
        self._pending.clear()
        for worker in list(self._workers.values()):
            worker.process.terminate()

    def as_completed(self) -> Iterator[Event]:
        """Yield what happens until every task is over; at the end no worker is left."""
        try:
            while self._pending or self._workers:
                while self._pending and len(self._workers) < self._size:
                    yield from self._assign(self._start())
                # A worker that dies hangs up: its pipe is ready too, and tells the end of file.
                for connection in wait(list(self._workers), timeout=1.0):
                    assert isinstance(connection, Connection)
                    yield from self._listen(self._workers[connection])
                if time.monotonic() > self._deadline:
                    return
        finally:
            for worker in self._workers.values():
                worker.process.kill()
            for worker in self._workers.values():
                worker.process.join()
            self._workers.clear()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        taken = [worker.device for worker in self._workers.values()]
        device = min(self._devices, key=taken.count)
        process = self._context.Process(
            target=_work, args=(theirs, device, *self._arguments), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours, device)
        self._workers[ours] = worker
        return worker

    def _assign(self, worker: _Worker) -> Iterator[Event]:
        """Give a worker the task that suits it best.

        That is one whose compiled step it has, else one that no other worker has, else any.
        """
        busy = {w.task.program for w in self._workers.values() if w.task and w is not worker}
        last = worker.task.program if worker.task else None
        task = min(self._pending, key=lambda t: (t.program != last, t.program in busy))
        self._pending.remove(task)
        worker.task, worker.over = task, set()
        worker.connection.send(task)
        for run in task.runs:
            yield Event("started", run)

    def _listen(self, worker: _Worker) -> Iterator[Event]:
        try:
            event: Event | None = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._bury(worker)
            return
        if event is not None:
            if event.kind != "progress":
                worker.over.add(event.run.id)
            yield event
        elif self._pending:
            yield from self._assign(worker)
        else:
            self._dismiss(worker)

    def _bury(self, worker: _Worker) -> Iterator[Event]:
        self._dismiss(worker)
        assert worker.task is not None
        code = worker.process.exitcode
        reason = (
            f"its process was ended by {signal.Signals(-code).name}"
            if code < 0
            else f"its process ended with exit code {code}"
        )
        left = worker.task.without(worker.over)
        if self._deadline < float("inf"):
            yield from (Event("stopped", run) for run in left.runs)
            return
        again = {r.id for r in left.runs if self._restarts.get(r.id, 0) < _RESTARTS}
        for run in left.runs:
            self._restarts[run.id] = self._restarts.get(run.id, 0) + 1
            yield Event("lost" if run.id in again else "crashed", run, reason=reason)
        if again:
            self._pending.insert(0, left.without(r.id for r in left.runs if r.id not in again))

    def _dismiss(self, worker: _Worker) -> None:
        worker.connection.close()
        del self._workers[worker.connection]
        worker.process.join()


class _Worker:
    """A process and what it is doing."""

    def __init__(self, process: Any, connection: Connection, device: str) -> None:
        self.process, self.connection, self.device = process, connection, device
        self.task: Task | None = None
        self.over: set[str] = set()  # runs of the task that have ended


def _shared(dataset: Dataset) -> Dataset:
    """Return a data set whose memory torch's processes share: factors become tensors.

    Labels, a few numbers or words an observation, are copied; what is in a file stays there.
    """
    return dataset.each(lambda split: replace(split, factors=_as_tensor(split.factors)))


def _received(dataset: Dataset) -> Dataset:
    """Return the data set as it was before :func:`_shared`, on the same memory."""
    return dataset.each(lambda split: replace(split, factors=_as_array(split.factors)))


def _as_tensor(factors: Any) -> Any:
    return None if factors is None else torch.as_tensor(factors)


def _as_array(factors: Any) -> Any:
    return None if factors is None else factors.numpy()


def _work(
    connection: Connection,
    device: str,
    root: Path,
    datasets: dict[str, Dataset],
    compiled: Compiled,
    checkpoint_seconds: float,
) -> None:
    """Execute tasks until the other end hangs up."""
    keep_shared()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides what Ctrl-C means
    signal.signal(signal.SIGTERM, stop)
    be_single_threaded()
    use_persistent_cache()
    datasets = {key: _received(dataset) for key, dataset in datasets.items()}
    execution = Execution(
        Store(root),
        compiled=compiled,
        device=device,
        stop=lambda: stopping,
        checkpoint_seconds=checkpoint_seconds,
    )
    while not stopping:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            try:
                execution.execute(task, datasets[task.runs[0].fingerprint], connection.send)
            except (BrokenPipeError, ConnectionResetError):
                return  # the runner is gone, and with it the reason to go on
            except Exception as failure:
                for run in task.runs:
                    connection.send(crash(run, failure))
            connection.send(None)
        except (BrokenPipeError, ConnectionResetError):
            return


def be_single_threaded() -> None:
    """Use one thread in this process: each core has a process of its own."""
    torch.set_num_threads(1)
    threadpool_limits(1)  # scikit-learn's and BLAS's threads would fight the other workers'
    pyro.enable_validation(False)
