"""One run from configuration to stored result: train, evaluate, store."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pyrovae.collapse import Units, measure_units
from pyrovae.datasets import Dataset
from pyrovae.study.diagnoses import diagnose_into
from pyrovae.study.evaluation import evaluate
from pyrovae.study.plan import PlannedRun, program_of, vae_of
from pyrovae.study.store import Store, history_table
from pyrovae.training import Diverged, LossProgram, Trainer
from pyrovae.vae import VAE

Progress = Callable[[int, float], None]
#: Test points that the measures along training are taken on.
_HISTORY_POINTS = 1000


class Executor:
    """Executes runs one after the other; keeps the compiled step while the structure stays.

    Parameters
    ----------
    store
        Where results go.
    compiled
        Whether training steps are compiled.
    """

    def __init__(self, store: Store, *, compiled: bool) -> None:
        self._store, self._compiled = store, compiled
        self._structure = ""
        self._trainer: Trainer | None = None

    def execute(self, run: PlannedRun, dataset: Dataset, progress: Progress) -> None:
        """Train, evaluate and store a run, or only measure it again if it is trained.

        Raises
        ------
        Diverged
            After storing the failure.
        """
        folder = self._store.run(run.id)
        if self._store.status(run) == "outdated":
            vae = vae_of(run.config, dataset.event_shape)
            vae.load_state_dict(folder.parameters())
            history = folder.history()
            environment = _environment()
        else:
            program = program_of(run.config, dataset)
            trainer = self._trainer_for(run, program, dataset)
            x = dataset.test.floats(slice(_HISTORY_POINTS))
            started = time.perf_counter()

            def measure(current: LossProgram) -> Units:
                assert isinstance(current.vae, VAE)
                return measure_units(current.vae, x, seed=run.config.seed)

            try:
                records = trainer.train(
                    program, run.config.seed, measure=measure, progress=progress
                )
            except Diverged as failure:
                self._store.write_failure(run, failure, _environment())
                raise
            seconds = time.perf_counter() - started
            environment = {**_environment(), "training_seconds": round(seconds, 3)}
            history = history_table(records)
            assert isinstance(program.vae, VAE)
            vae = program.vae
        settings, seed = run.config.evaluation, run.config.seed
        evaluation = evaluate(vae, dataset, settings, seed)
        if settings.diagnostics:
            # Before the run counts as done: whatever ends this early, the next time goes on here.
            evaluation.scores.update(
                diagnose_into(folder, vae, dataset, settings.diagnostics, seed)
            )
        self._store.write_run(run, vae.state_dict(), history, evaluation, environment)

    def _trainer_for(self, run: PlannedRun, program: LossProgram, dataset: Dataset) -> Trainer:
        if self._trainer is None or self._structure != run.structure:
            self._trainer = Trainer(
                program, dataset.train.values, run.config.training, compiled=self._compiled
            )
            self._structure = run.structure
        return self._trainer


def _environment() -> dict[str, Any]:
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
