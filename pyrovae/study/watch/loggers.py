"""TensorBoard and MLflow: what a study tells while it runs, and each run's results when it is done.

Both are observers (see :mod:`pyrovae.study.watch.observers`) and optional: ``pip install
pyrovae[tensorboard]`` or ``pyrovae[mlflow]``. The results stay in the study's own store; a log is a
copy for those who look at all their experiments in one place.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pyrovae.core.errors import PyrovaeError
from pyrovae.study.store.folders import RunFolder, Store
from pyrovae.study.watch.events import Event
from pyrovae.study.watch.progress import Display

#: Columns of a run's history that are logged along its steps.
_CURVES = ("distortion", "rate", "used_units", "active_units")


def logger(kind: str, store: Store, names: Mapping[str, str]) -> Display:
    """Return the logger of a kind.

    Parameters
    ----------
    kind
        A key of :data:`LOGGERS`.
    store
        Of the study: results of finished runs are read from it.
    names
        A short description of each run, by id.

    Raises
    ------
    PyrovaeError
        If its library is not installed.
    """
    return LOGGERS[kind](store, names)


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PyrovaeError(
            f"--log {extra} needs a library that is not here: pip install 'pyrovae[{extra}]'"
        ) from None


def _curves(folder: RunFolder) -> Iterator[tuple[str, int, float]]:
    """Yield name, step and value of what is known along a finished run's training."""
    history = folder.history()
    for name in _CURVES:
        if name in history:
            for step, value in zip(history["step"], history[name], strict=True):
                if value == value:  # NaN at step 0
                    yield name, int(step), float(value)


class TensorBoard:
    """Writes event files to ``results/<study>/tensorboard/``; look at them with ``tensorboard``.

    Parameters
    ----------
    store, names
        See :func:`logger`.
    """

    def __init__(self, store: Store, names: Mapping[str, str]) -> None:
        self._module = _library("torch.utils.tensorboard", "tensorboard")
        self._store, self._names = store, names
        self._root = store.root / "tensorboard"
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def show(self, event: Event) -> None:
        """Log the loss as it comes, and curves, units and scores when a run is done."""
        if event.kind == "progress":
            self._writer(event).add_scalar("loss", event.loss, event.step)
        elif event.kind == "done":
            self._log_results(event)
        if event.kind not in ("started", "progress") and event.run.id in self._writers:
            self._writers.pop(event.run.id).close()

    def _writer(self, event: Event) -> Any:
        """Return a run's writer; what a former attempt logged from this step on is hidden."""
        if event.run.id not in self._writers:
            folder = f"{_file_name(self._names[event.run.id])}-{event.run.id[:8]}"
            self._writers[event.run.id] = self._module.SummaryWriter(
                str(self._root / folder), purge_step=event.step
            )
        return self._writers[event.run.id]

    def _log_results(self, event: Event) -> None:
        folder, writer = self._store.run(event.run.id), self._writer(event)
        for name, step, value in _curves(folder):
            writer.add_scalar(name, value, step)
        for _, record in folder.history().iterrows():
            writer.add_histogram("kl of units", record["kl"], int(record["step"]))
        metrics = folder.metrics()
        scores = {f"score/{name}": value for name, value in metrics["scores"].items()}
        experiment, start, end = self._module.summary.hparams(metrics["labels"], scores)
        for summary in (experiment, start, end):
            writer.file_writer.add_summary(summary)
        for name, value in scores.items():
            writer.add_scalar(name, value, event.run.config.training.steps)


class MLflow:
    """Logs to the server or folder that ``MLFLOW_TRACKING_URI`` names.

    If it names none, to ``results/<study>/mlflow``. A study is an experiment, a run is a run; a run
    that is tried again gets a second one.

    Parameters
    ----------
    store, names
        See :func:`logger`.
    """

    def __init__(self, store: Store, names: Mapping[str, str]) -> None:
        mlflow = _library("mlflow", "mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        self._store, self._names = store, names
        uri = os.environ.get("MLFLOW_TRACKING_URI") or _file_store(store.root / "mlflow")
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._experiment = ""
        self._runs: dict[str, str] = {}

    def __enter__(self) -> Self:
        name = self._store.root.name
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")

    def show(self, event: Event) -> None:
        """Log the loss as it comes, and curves and scores when a run is done."""
        if event.kind == "started":
            self._start(event)
        elif event.kind == "progress":
            self._client.log_metric(self._run(event), "loss", event.loss, step=event.step)
        elif event.kind == "done":
            self._log_results(event)
            self._client.set_terminated(self._runs.pop(event.run.id), "FINISHED")
        elif event.run.id in self._runs:
            run = self._runs.pop(event.run.id)
            self._client.set_tag(run, "reason", event.reason[:5000])
            self._client.set_terminated(run, "FAILED" if event.reason else "KILLED")

    def _run(self, event: Event) -> str:
        if event.run.id not in self._runs:
            self._start(event)
        return self._runs[event.run.id]

    def _start(self, event: Event) -> None:
        created = self._client.create_run(
            self._experiment,
            run_name=self._names[event.run.id],
            tags={"pyrovae.run": event.run.id},
        )
        self._runs[event.run.id] = created.info.run_id
        parameters = event.run.labels() | event.run.config.training.model_dump(mode="json")
        self._client.log_batch(
            created.info.run_id,
            params=[
                self._entities.Param(key, str(value)[:6000]) for key, value in parameters.items()
            ],
        )

    def _log_results(self, event: Event) -> None:
        folder, run = self._store.run(event.run.id), self._run(event)
        last = event.run.config.training.steps
        now = int(1000 * _mtime(folder))
        told = [
            self._entities.Metric(name, value, now, step) for name, step, value in _curves(folder)
        ]
        told += [
            self._entities.Metric(f"score.{_metric_name(name)}", value, now, last)
            for name, value in folder.metrics()["scores"].items()
        ]
        # A server takes at most 1000 at a time.
        for at in range(0, len(told), 1000):
            self._client.log_batch(run, metrics=told[at : at + 1000])


def _metric_name(text: str) -> str:
    """Return a score's key of letters that MLflow takes: ``mig n_bins 5`` of ``mig[n_bins=5]``."""
    return re.sub(r"[^\w./ -]+", " ", text).strip()


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=]+", "-", text).strip("-.")


def _file_store(folder: Path) -> str:
    # MLflow 3 wants this said by those who have no database; whoever says otherwise is heeded.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve().as_uri()


def _mtime(folder: RunFolder) -> float:
    return (folder.path / "metrics.json").stat().st_mtime


#: Name to class: what ``--log`` takes.
LOGGERS: dict[str, Callable[[Store, Mapping[str, str]], Display]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}
