"""Diagnoses of trained runs: made, stored and read back.

::

    results/<study>/diagnostics/<run>/
      posterior.nc           for ArviZ: true posterior, guide, and what figures need
      scores.json            scores, settings
      points.csv, units.csv, marginals.csv
      figures/               drawn by the report
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyrovae.core import atomic
from pyrovae.core.errors import PyrovaeError
from pyrovae.core.reading import reading
from pyrovae.datasets import Dataset
from pyrovae.measures import arviz as inference_data
from pyrovae.measures.posterior.density import NO_COORDINATES, has_density
from pyrovae.measures.posterior.diagnose import Diagnosis, diagnose
from pyrovae.measures.posterior.scores import PREFIX
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.models.contract import LatentModel
from pyrovae.models.priors import PRIORS, Prior
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.trained import load_trained


@dataclass(frozen=True)
class DiagnosisFolder:
    """A stored diagnosis.

    Parameters
    ----------
    path
        ``results/<study>/diagnostics/<run>``.

    Raises
    ------
    DataError
        By every method that reads, if a file is missing or damaged.
    """

    path: Path

    @classmethod
    def of(cls, run: RunFolder) -> DiagnosisFolder:
        """Return the folder that belongs to a run; it need not exist."""
        return cls(run.study / "diagnostics" / run.id)

    @property
    def exists(self) -> bool:
        """Whether a diagnosis has been stored."""
        return (self.path / "scores.json").exists()

    @property
    def figures(self) -> Path:
        """Where the figures are; a new diagnosis has none yet."""
        return self.path / "figures"

    def scores(self) -> dict[str, Any]:
        """Return the scores by name."""
        with self._reading("scores.json") as path:
            return json.loads(path.read_text())["scores"]

    def settings(self) -> DiagnosticsSettings:
        """Return how closely it was looked."""
        with self._reading("scores.json") as path:
            return DiagnosticsSettings(**json.loads(path.read_text())["settings"])

    def points(self) -> pd.DataFrame:
        """Return a row for each test point."""
        return self.table("points.csv")

    def units(self) -> pd.DataFrame:
        """Return a row for each latent unit."""
        return self.table("units.csv")

    def marginals(self) -> pd.DataFrame:
        """Return a row for each test point and unit."""
        return self.table("marginals.csv")

    def data(self) -> inference_data.InferenceData:
        """Return draws and everything that figures need."""
        with self._reading("posterior.nc") as path:
            return inference_data.load(path)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables by its file's name."""
        with self._reading(name) as path:
            return pd.read_csv(path)

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        advice = f"`pyrovae diagnose {self.path.name}` makes it again"
        with reading(self.path / name, "part of a diagnosis", advice):
            yield self.path / name

    def write(self, diagnosis: Diagnosis, settings: DiagnosticsSettings) -> None:
        """Store a diagnosis; the folder appears complete, in one step."""
        atomic.remove_leftovers(self.path.parent)
        with atomic.folder(self.path) as made:
            inference_data.save(diagnosis.data, made / "posterior.nc")
            for name in ("points", "units", "marginals"):
                getattr(diagnosis, name).to_csv(made / f"{name}.csv", index=False)
            content = {
                "scores": plain_scores(diagnosis.scores),
                "settings": settings.model_dump(mode="json"),
            }
            (made / "scores.json").write_text(json.dumps(content, indent=1))


def plain_scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores as JSON knows them: none for a number that is not finite."""
    return {
        name: value if isinstance(value, str) or np.isfinite(value) else None
        for name, value in scores.items()
    }


def diagnose_into(
    folder: RunFolder, vae: LatentModel, dataset: Dataset, settings: DiagnosticsSettings, seed: int
) -> dict[str, float]:
    """Diagnose a run that is at hand and store what is found.

    Returns
    -------
    dict
        The scores that are finite numbers, as they stand among a run's: with :data:`PREFIX`.
    """
    found = diagnose(vae, dataset, settings, seed)
    DiagnosisFolder.of(folder).write(found, settings)
    return {
        f"{PREFIX}{name}": float(score)
        for name, score in found.scores.items()
        if not isinstance(score, str) and np.isfinite(score)
    }


def check_density(vae: LatentModel, name: str) -> None:
    """Refuse a model whose prior has no density, or whose codes are labels.

    Raises
    ------
    PyrovaeError
        That begins with its name.
    """
    if vae.classes is not None:
        raise PyrovaeError(f"{name}: {NO_COORDINATES}")
    if not has_density(vae):
        prior = getattr(vae, "prior", None)
        told = PRIORS.name_of(type(prior)) if isinstance(prior, Prior) else "of this model"
        raise PyrovaeError(
            f"{name}: prior '{told}' has no density, so that there is no posterior to compare the "
            "guide with"
        )


def diagnose_run(
    folder: RunFolder,
    settings: DiagnosticsSettings,
    *,
    compiled: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> DiagnosisFolder:
    """Diagnose a finished run and store what is found.

    Raises
    ------
    PyrovaeError
        If the run's prior has no density.
    """
    (vae, dataset), config = load_trained(folder), folder.config()
    check_density(vae, folder.id)
    found = diagnose(vae, dataset, settings, config.seed, compiled=compiled, progress=progress)
    stored = DiagnosisFolder.of(folder)
    stored.write(found, settings)
    return stored
