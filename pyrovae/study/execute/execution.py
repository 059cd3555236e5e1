"""Runs from configuration to stored result: train, evaluate, store."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from pyrovae.core.given import Data, Given
from pyrovae.datasets import Dataset
from pyrovae.datasets.streamed import Streamed
from pyrovae.measures.collapse.measure import AlongTraining, along_points, measure_along_training
from pyrovae.measures.evaluate import Evaluation, evaluate
from pyrovae.measures.flops import TRAINING_FLOPS, step_flops
from pyrovae.models.contract import LatentModel
from pyrovae.study.config.schedules import constant_from
from pyrovae.study.execute.memory import give_back
from pyrovae.study.plan.batches import Task
from pyrovae.study.plan.compiling import Compiled, is_compiled
from pyrovae.study.plan.planning import PlannedRun, model_of, program_of
from pyrovae.study.store.checkpoints import Checkpoint
from pyrovae.study.store.diagnoses import diagnose_into
from pyrovae.study.store.folders import Store
from pyrovae.study.store.history import Watch, history_table, settled_of
from pyrovae.study.watch.events import Event, Tell
from pyrovae.training import Ended, LossProgram, Member, Record, Snapshot, Stopped, Trainer
from pyrovae.training.validation import validation

#: Time between two checkpoints of a run: what a crash costs at most.
CHECKPOINT_SECONDS = 60.0


class Execution:
    """Executes tasks one after the other; keeps the compiled step while the program stays.

    Parameters
    ----------
    store
        Where results go.
    compiled
        Whether training steps are compiled, or the programs of which they are.
    device
        Where runs are trained and measured: ``cpu``, ``cuda:0``, …
    stop
        Asked now and then whether to end early; runs in training then leave a checkpoint.
    checkpoint_seconds
        Time between two checkpoints.
    """

    def __init__(
        self,
        store: Store,
        *,
        compiled: Compiled,
        device: str = "cpu",
        stop: Callable[[], bool] = lambda: False,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._store, self._compiled, self._stop = store, compiled, stop
        self._device = torch.device(device)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)  # where kernels are compiled and captured
        self._checkpoint_seconds = checkpoint_seconds
        self._key: tuple[str, int] = ("", 0)
        self._trainer: Trainer | None = None
        self._data: tuple[tuple[str, str], Tensor | Streamed | Given] | None = None

    def execute(self, task: Task, dataset: Dataset, tell: Tell) -> None:
        """Train, evaluate and store runs, or only measure again those that are trained.

        What becomes of each run is told as it happens: one run's failure is not another's.
        """
        training = []
        for run in task.runs:
            if self._store.status(run) == "outdated":
                self._guarded(run, tell, partial(self._measure_again, run, dataset))
            else:
                training.append(run)
        if not training:
            return
        points = along_points(dataset, self._device)
        trainees = [
            _Trainee(
                run,
                program_of(run.config, dataset).to(self._device),
                points,
                validation(dataset, run.config.training, seed=run.config.seed),
                self._store,
                tell,
            )
            for run in training
        ]
        trainer = self._trainer_for(task, trainees[0].program, dataset)
        try:
            for ended in trainer.train_together(
                [trainee.member for trainee in trainees],
                stop=self._stop,
                keep_seconds=self._checkpoint_seconds,
            ):
                trainee = trainees[ended.member]
                started = time.perf_counter()
                finish = partial(self._finish, trainee, ended, dataset, task.size)
                self._guarded(trainee.run, tell, finish)
                for other in trainees:  # the others had to wait: that was not their training
                    other.started += time.perf_counter() - started
        except Stopped:
            for trainee in trainees:
                if not trainee.over:
                    tell(Event("stopped", trainee.run))

    def _guarded(self, run: PlannedRun, tell: Tell, act: Callable[[], Event]) -> None:
        try:
            event = act()
        except Exception as failure:
            event = crash(run, failure)
        tell(event)

    def _measure_again(self, run: PlannedRun, dataset: Dataset) -> Event:
        folder = self._store.run(run.id)
        vae = model_of(run.config, dataset.event_shape, columns=dataset.columns)
        folder.restore(vae)
        evaluation, history = self._evaluate(run, vae, dataset), folder.history()
        _count_training(evaluation, program_of(run.config, dataset), run, dataset, history)
        settled = settled_of(history, run.config.training, constant_from(run.config))
        self._store.write_run(
            run,
            vae.state_dict(),
            history,
            evaluation,
            folder.environment(),
            settled,
            folder.kept(),
        )
        return Event("done", run)

    def _finish(self, trainee: _Trainee, ended: Ended, dataset: Dataset, size: int) -> Event:
        run, trainee.over = trainee.run, True
        about = {
            **environment(),
            "device": str(self._device),
            "trained_together": size,
            "training_seconds": round(trainee.seconds(), 3),
        }
        if ended.failure:
            self._store.write_failure(run, ended.failure, about)
            self._store.checkpoints.remove(run.id)
            return Event("diverged", run, reason=str(ended.failure))
        vae = trainee.program.vae
        assert isinstance(vae, LatentModel)
        evaluation = self._evaluate(run, vae, dataset)
        history = trainee.history(ended.records)
        _count_training(evaluation, trainee.program.cpu(), run, dataset, history)
        settled = settled_of(history, run.config.training, constant_from(run.config))
        self._store.write_run(
            run, vae.state_dict(), history, evaluation, about, settled, ended.kept
        )
        self._store.checkpoints.remove(run.id)
        return Event("done", run, step=ended.records[-1].step)

    def _evaluate(self, run: PlannedRun, vae: LatentModel, dataset: Dataset) -> Evaluation:
        """Measure a trained model on the device, and leave it on the CPU."""
        settings, seed = run.config.evaluation, run.config.seed
        evaluation = evaluate(vae.to(self._device), dataset, settings, seed, self._device)
        vae.cpu()
        if settings.diagnostics:
            # Before the run counts as done: whatever ends this early, the next time goes on here.
            folder = self._store.run(run.id)
            evaluation.scores.update(
                diagnose_into(folder, vae, dataset, settings.diagnostics, seed)
            )
        give_back()
        return evaluation

    def _trainer_for(self, task: Task, program: LossProgram, dataset: Dataset) -> Trainer:
        key = (task.program, task.size)
        if self._trainer is None or self._key != key:
            objective = program.objective
            own = str(task.runs[0].config.objective) if objective.has_data_of_its_own else ""
            kept = task.runs[0].fingerprint, own
            if self._data is None or self._data[0] != kept:
                self._data = (kept, objective.trained_on(dataset).to(self._device))
            self._trainer = Trainer(
                program,
                self._data[1],
                task.runs[0].config.training,
                compiled=is_compiled(task, self._compiled),
                size=task.size,
            )
            give_back()
            self._key = key
        return self._trainer


class _Trainee:
    """A run in training: where it starts, what is told and kept of it."""

    def __init__(
        self,
        run: PlannedRun,
        program: LossProgram,
        points: tuple[Data, Data],
        validate: Callable[[LossProgram, int], float] | None,
        store: Store,
        tell: Tell,
    ) -> None:
        self.run, self.program, self._store = run, program, store
        self.over = False
        self._before = store.checkpoints.load(run.id)

        constant = constant_from(run.config)
        active: int | None = None

        def measure(current: LossProgram) -> AlongTraining:
            nonlocal active
            assert isinstance(current.vae, LatentModel)
            found = measure_along_training(current.vae, *points, run.config.seed)
            active = found.used_units
            return found

        def progress(step: int, loss: float) -> None:
            tell(Event("progress", run, step=step, loss=loss, active_units=active))

        self.member = Member(
            self.program,
            run.config.seed,
            run.config.training,
            measure=measure,
            progress=progress,
            keep=self._keep,
            start=self._before.snapshot if self._before else None,
            settled=Watch(
                run.config.training, constant, self._before.history if self._before else None
            ),
            validate=validate,
            constant_from=constant,
        )
        self.started = time.perf_counter()

    def seconds(self) -> float:
        """Return the time that the training has taken, with what was done before a restart."""
        return time.perf_counter() - self.started + (self._before.seconds if self._before else 0)

    def history(self, records: list[Record]) -> pd.DataFrame:
        """Return the whole history, given the records since the last start."""
        tables = [self._before.history] if self._before else []
        tables += [history_table(records)] if records else []
        return pd.concat(tables, ignore_index=True)

    def _keep(self, snapshot: Snapshot, records: list[Record]) -> None:
        try:
            self._store.checkpoints.save(
                self.run.id, Checkpoint(snapshot, self.history(records), self.seconds())
            )
        except OSError as failure:
            # A full disk must not end a run that may find room when it ends.
            warnings.warn(f"no checkpoint of run {self.run.id}: {failure}", stacklevel=2)


def _count_training(
    evaluation: Evaluation,
    program: LossProgram,
    run: PlannedRun,
    dataset: Dataset,
    history: pd.DataFrame,
) -> None:
    """Add what the training steps of a run cost to its scores."""
    batch = dataset.train.floats(slice(run.config.training.batch_size))
    steps = int(history["step"].max()) if len(history) else 0
    evaluation.scores[TRAINING_FLOPS.key] = step_flops(program, batch) * steps


def crash(run: PlannedRun, failure: Exception) -> Event:
    """Return the event for an exception: what a person reads first, then the trace."""
    told = traceback.format_exception_only(failure)[-1].strip()
    trace = "".join(traceback.format_exception(failure))
    return Event("crashed", run, reason=f"{told}\n{trace}")


def environment() -> dict[str, Any]:
    """Return what may change the numbers besides the configuration."""
    packages = ("pyrovae", "torch", "pyro-ppl", "arviz", "numpy", "scikit-learn")
    return {
        "versions": {name: version(name) for name in packages},
        "python": sys.version.split()[0],
        "machine": platform.platform(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "git": _git_revision(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _git_revision() -> str | None:
    """Return the revision of the checkout that the code runs from, if it is one."""
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return None
    return told.stdout.strip() or None
