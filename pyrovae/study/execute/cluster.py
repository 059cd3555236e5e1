"""The Ray executor: tasks on the CPUs and GPUs of a cluster, which may lose nodes.

A node that sees the study's folder writes there, as a local worker does, and its checkpoints
survive it. One that does not sends the finished run folders back through Ray's object store.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.core import atomic
from pyrovae.core.errors import PyrovaeError
from pyrovae.datasets import Dataset, Split
from pyrovae.study.execute.execution import CHECKPOINT_SECONDS, Execution, crash
from pyrovae.study.execute.workers import be_single_threaded
from pyrovae.study.plan.batches import Task
from pyrovae.study.plan.compiling import Compiled
from pyrovae.study.store.folders import Store
from pyrovae.study.watch.events import Event
from pyrovae.training.step import use_persistent_cache

#: How often Ray starts a task again whose worker or node was lost.
_RESTARTS = 3
#: What nodes get to leave checkpoints.
_GRACE_SECONDS = 30.0
#: How often a task asks whether to stop, and how long it waits for an answer.
_ASK_SECONDS = 5.0
#: What a task tells: its events, and the folders of its runs where they are not in the store yet.
Told = tuple[list[Event], dict[str, dict[str, bytes]]]


class RayExecutor:
    """Executes tasks on a Ray cluster, one CPU (and one GPU, if asked) for each.

    Ray starts a task again when its worker or node is lost; its runs then go on from their last
    checkpoints, where the study's folder is shared.

    Parameters
    ----------
    store
        Where results go.
    datasets
        By fingerprint; each goes to a node's object store once and is shared there.
    address
        Of the cluster; ``auto`` finds the one that this machine is in. ``None`` starts one here.
    compiled, checkpoint_seconds
        As for the local executor.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    PyrovaeError
        If Ray is not installed, or there is no cluster.
    """

    def __init__(
        self,
        store: Store,
        datasets: dict[str, Dataset],
        *,
        address: str | None,
        compiled: Compiled,
        device: str = "cpu",
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise PyrovaeError("Ray is not installed: pip install 'pyrovae[ray]'") from None
        self._ray: Any = ray
        try:
            _reach(address)
            ray.init(
                address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=40
            )
        except (OSError, ValueError, RuntimeError) as failure:
            reason = str(failure.__cause__ or failure).strip().split("\n")[0]
            raise PyrovaeError(f"no Ray cluster at {address or 'this machine'}: {reason}") from None
        self._store = store
        self._datasets = {key: ray.put(_arrays(dataset)) for key, dataset in datasets.items()}
        self._token = f".shared-{secrets.token_hex(8)}"
        self._flag: Any = ray.remote(num_cpus=0)(_Flag).remote()
        self._arguments = (compiled, device, checkpoint_seconds)
        self._remote = ray.remote(
            num_cpus=1, num_gpus=0 if device == "cpu" else 1, max_retries=_RESTARTS
        )(_execute)
        self._stopping = threading.Event()
        self._tasks: dict[Any, Task] = {}

    def submit(self, task: Task) -> None:
        """Hand a task to the cluster."""
        reference = self._remote.remote(
            task,
            self._datasets[task.runs[0].fingerprint],
            (str(self._store.root.resolve()), self._token),
            self._flag,
            *self._arguments,
        )
        self._tasks[reference] = task

    def stop(self) -> None:
        """Ask for an early end; the loop over the events passes it on."""
        self._stopping.set()

    def as_completed(self) -> Iterator[Event]:
        """Yield the events of each task when it is over; the cluster tells nothing before."""
        shared = self._store.root / self._token
        atomic.write_text(shared, "a node that sees this file can write results here\n")
        try:
            for task in self._tasks.values():
                yield from (Event("started", run) for run in task.runs)
            deadline = float("inf")
            while self._tasks and time.monotonic() < deadline:
                if self._stopping.is_set() and deadline == float("inf"):
                    deadline = time.monotonic() + _GRACE_SECONDS
                    self._flag.set.remote()
                # All that are ready, not the first: each call looks at every task.
                open_tasks = list(self._tasks)
                ready, _ = self._ray.wait(open_tasks, num_returns=len(open_tasks), timeout=0.5)
                for reference in ready:
                    yield from self._collect(reference, self._tasks.pop(reference))
        finally:
            for reference in self._tasks:
                self._ray.cancel(reference, force=True)
            self._tasks.clear()
            shared.unlink(missing_ok=True)
            self._ray.shutdown()

    def _collect(self, reference: Any, task: Task) -> Iterator[Event]:
        try:
            events, folders = self._ray.get(reference)
        except self._ray.exceptions.RayError as failure:
            # Lost more often than Ray starts it again, or something outside the runs broke.
            yield from (crash(run, failure) for run in task.runs)
            return
        for run_id, files in folders.items():
            self._store.adopt(run_id, files)
        yield from events


def _reach(address: str | None) -> None:
    """Raise OSError if nobody listens at ``host:port``: Ray would try for minutes, then exit."""
    host, _, port = (address or "").rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_ASK_SECONDS).close()


class _Flag:
    """Whether tasks are asked to stop; an actor that all nodes can ask."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set


class _Asked:
    """Asks the flag now and then, and believes that it is not set when nobody answers."""

    def __init__(self, flag: Any) -> None:
        self._flag, self._next, self._answer = flag, 0.0, False

    def __call__(self) -> bool:
        import ray

        now = time.monotonic()
        if not self._answer and now >= self._next:
            self._next = now + _ASK_SECONDS
            try:
                self._answer = ray.get(self._flag.is_set.remote(), timeout=_ASK_SECONDS)
            except ray.exceptions.RayError:
                return False
        return self._answer


def _execute(
    task: Task,
    arrays: dict[str, Any],
    place: tuple[str, str],
    flag: Any,
    *arguments: Any,
) -> Told:
    """Execute a task on a node of the cluster."""
    token = place[1]
    if token not in _workshops:
        _workshops.clear()
        _workshops[token] = _Workshop(place, flag, *arguments)
    return _workshops[token].execute(task, arrays)


class _Workshop:
    """What a worker process of the cluster keeps from task to task of a study.

    Its execution holds the compiled step, which the next task often shares.
    """

    def __init__(
        self,
        place: tuple[str, str],
        flag: Any,
        compiled: Compiled,
        device: str,
        checkpoint_seconds: float,
    ) -> None:
        be_single_threaded()
        use_persistent_cache()
        root, token = Path(place[0]), place[1]
        self._own = None if (root / token).exists() else tempfile.TemporaryDirectory()
        self._store = Store(Path(self._own.name) if self._own else root)
        self._execution = Execution(
            self._store,
            compiled=compiled,
            device=device,
            stop=_Asked(flag),
            checkpoint_seconds=checkpoint_seconds,
        )

    def execute(self, task: Task, arrays: dict[str, Any]) -> Told:
        """Execute a task; hand its run folders over where they are not in the study's folder."""
        events: list[Event] = []

        def tell(event: Event) -> None:
            if event.kind != "progress":
                events.append(event)

        self._execution.execute(task, _dataset(arrays), tell)
        folders: dict[str, dict[str, bytes]] = {}
        if self._own:
            for folder in self._store.runs.glob("[!.]*"):
                folders[folder.name] = {file.name: file.read_bytes() for file in folder.iterdir()}
                shutil.rmtree(folder)
        return events, folders


#: By the token of the study; a process of Ray's works for one study.
_workshops: dict[str, _Workshop] = {}


def _arrays(dataset: Dataset) -> dict[str, Any]:
    """Return a data set as arrays, which Ray's object store hands out without a copy.

    What stays in its file is read there: each node has to see it.
    """
    return {
        "name": dataset.name,
        "splits": {name: _split_arrays(split) for name, split in dataset.splits.items()},
        "grey": None if dataset.grey is None else _split_arrays(dataset.grey),
        "factor_names": dataset.factor_names,
        "factor_sizes": dataset.factor_sizes,
        "exact": {key: tensor.numpy() for key, tensor in dataset.exact.items()},
        "vocabulary": dataset.vocabulary,
        "about": dataset.about,
        "columns": dataset.columns,
    }


def _split_arrays(split: Split) -> tuple[Any, ...]:
    values, context = split.values, split.context
    return (
        values.numpy() if isinstance(values, Tensor) else values,
        split.factors,
        split.labels,
        None if context is None else context.numpy(),
    )


def _dataset(arrays: dict[str, Any]) -> Dataset:
    splits = {name: _split(*given) for name, given in arrays["splits"].items()}
    return Dataset(
        arrays["name"],
        splits["train"],
        splits["test"],
        validation=splits.get("validation"),
        grey=None if arrays["grey"] is None else _split(*arrays["grey"]),
        factor_names=arrays["factor_names"],
        factor_sizes=arrays["factor_sizes"],
        exact={key: _tensor(values) for key, values in arrays["exact"].items()},
        vocabulary=arrays["vocabulary"],
        about=arrays["about"],
        columns=arrays["columns"],
    )


def _split(values: Any, factors: Any, labels: Any, context: Any) -> Split:
    return Split(
        _tensor(values) if isinstance(values, np.ndarray) else values,
        factors,
        labels,
        None if context is None else _tensor(context),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the shared memory is read-only, and nobody writes to it
        return torch.from_numpy(values)
