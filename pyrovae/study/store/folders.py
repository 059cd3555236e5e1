"""Where results live: one folder a run, complete or absent, and an index that can be rebuilt.

::

    results/<study>/
      study.json                 what the study planned last
      checkpoints/               runs in mid-training
      damaged/                   run folders whose checksums did not hold, set aside
      runs.parquet               index: labels and scores, one row a finished run
      runs/<id>/config.yaml      the resolved configuration
                metrics.json     scores, and the estimators that made them
                history.parquet  one row a record along training
                units.parquet    one row a latent unit
                codes.npy        posterior means of the test points that were scored
                factors.npy      their ground-truth factors, where known
                posterior.nc     ArviZ InferenceData
                images.safetensors, model.safetensors, environment.json
                failure.json     instead of all that, if the run diverged
                checksums.json   sha256 of each file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError
from pyrovae.measures import arviz as inference_data
from pyrovae.measures.evaluate import Evaluation
from pyrovae.study.config import yaml
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import Plan, PlannedRun
from pyrovae.study.store.checkpoints import Checkpoints
from pyrovae.study.store.columns import has_all, side_by_side
from pyrovae.study.store.status import study_root
from pyrovae.training import Diverged, Record

Status = Literal["done", "failed", "outdated", "missing"]


@dataclass(frozen=True)
class RunFolder:
    """One run's results on disk.

    Parameters
    ----------
    path
        ``results/<study>/runs/<id>``.
    """

    path: Path

    @property
    def id(self) -> str:
        """The run's hash."""
        return self.path.name

    def config(self) -> RunConfig:
        """Return the resolved configuration."""
        return RunConfig.model_validate(yaml.read(self.path / "config.yaml"))

    def metrics(self) -> dict[str, Any]:
        """Return scores, estimators, names of the factors, labels, cell and settings by name.

        See :class:`pyrovae.measures.evaluate.Evaluation`.
        """
        return json.loads((self.path / "metrics.json").read_text())

    def failure(self) -> dict[str, Any] | None:
        """Return ``step`` and ``cause`` of a diverged run."""
        path = self.path / "failure.json"
        return json.loads(path.read_text()) if path.exists() else None

    def history(self) -> pd.DataFrame:
        """Return one row for each record: losses, and lists with a value for each unit."""
        return pd.read_parquet(self.path / "history.parquet")

    def units(self) -> pd.DataFrame:
        """Return one row for each latent unit, measured on the test set."""
        return pd.read_parquet(self.path / "units.parquet")

    def codes(self) -> np.ndarray:
        """Return the posterior means of the scored test points, ``(n, latent_dim)``."""
        return np.load(self.path / "codes.npy", allow_pickle=False)

    def factors(self) -> np.ndarray | None:
        """Return the ground-truth factors of those points, ``(n, k)``, if they are known."""
        path = self.path / "factors.npy"
        return np.load(path, allow_pickle=False) if path.exists() else None

    def images(self) -> dict[str, Tensor]:
        """Return inputs, reconstructions, traversals and samples."""
        return load_file(self.path / "images.safetensors")

    def parameters(self) -> dict[str, Tensor]:
        """Return the trained model's tensors."""
        return load_file(self.path / "model.safetensors")

    def environment(self) -> dict[str, Any]:
        """Return versions, machine and training time, as they were when the run was made."""
        return json.loads((self.path / "environment.json").read_text())

    def posterior(self) -> inference_data.InferenceData:
        """Return the draws from the guide."""
        return inference_data.load(self.path / "posterior.nc")

    def damage(self) -> str | None:
        """Return the first file that is not what was written, and why; ``None`` if all are.

        A folder from before there were checksums has nothing to be compared with.
        """
        listed = self.path / "checksums.json"
        if not listed.exists():
            return None
        try:
            for name, expected in json.loads(listed.read_text()).items():
                if not (self.path / name).exists():
                    return f"{name} is missing"
                if _sha256(self.path / name) != expected:
                    return f"{name} has another checksum"
        except (OSError, ValueError, AttributeError) as failure:
            return f"checksums.json: {failure}"
        return None


class Store:
    """The results of one study.

    Parameters
    ----------
    root
        ``results/<study>``; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self.checkpoints = Checkpoints(root / "checkpoints")

    def run(self, run_id: str) -> RunFolder:
        """Return a run's folder, which need not exist."""
        return RunFolder(self.runs / run_id)

    def status(self, run: PlannedRun) -> Status:
        """Return what is known of a run; ``outdated``: trained, but measured in another way."""
        folder = self.run(run.id)
        if (folder.path / "failure.json").exists():
            return "failed"
        if not (folder.path / "metrics.json").exists():
            return "missing"
        wanted, stored = run.config.evaluation.model_dump(mode="json"), folder.metrics()
        return "done" if stored["evaluation"] == wanted and has_all(stored) else "outdated"

    def write_run(
        self,
        run: PlannedRun,
        state: dict[str, Tensor],
        history: pd.DataFrame,
        evaluation: Evaluation,
        environment: dict[str, Any],
    ) -> None:
        """Store a finished run; its folder appears complete, in one step."""
        with atomic.folder(self.runs / run.id) as made:
            (made / "config.yaml").write_text(yaml.dump(run.config.model_dump(mode="json")))
            metrics = {
                "cell": run.config.cell(),
                "labels": run.labels(),
                "scores": evaluation.scores,
                "estimators": evaluation.estimators,
                "factor_names": evaluation.factor_names,
                "evaluation": run.config.evaluation.model_dump(mode="json"),
            }
            (made / "metrics.json").write_text(json.dumps(metrics, indent=1))
            history.to_parquet(made / "history.parquet", index=False)
            evaluation.units.to_parquet(made / "units.parquet", index=False)
            np.save(made / "codes.npy", evaluation.codes.astype(np.float32))
            if evaluation.factors is not None:
                np.save(made / "factors.npy", evaluation.factors.astype(np.int32))
            (made / "images.safetensors").write_bytes(save(_contiguous(evaluation.images)))
            (made / "model.safetensors").write_bytes(save(_contiguous(state)))
            (made / "environment.json").write_text(json.dumps(environment, indent=1))
            inference_data.save(evaluation.posterior, made / "posterior.nc")
            _write_checksums(made)

    def write_failure(
        self, run: PlannedRun, failure: Diverged, environment: dict[str, Any]
    ) -> None:
        """Store that a run diverged, and where."""
        with atomic.folder(self.runs / run.id) as made:
            (made / "config.yaml").write_text(yaml.dump(run.config.model_dump(mode="json")))
            content = {"step": failure.step, "cause": failure.cause, "labels": run.labels()}
            (made / "failure.json").write_text(json.dumps(content, indent=1))
            (made / "environment.json").write_text(json.dumps(environment, indent=1))
            _write_checksums(made)

    def adopt(self, run_id: str, files: dict[str, bytes]) -> None:
        """Store a run folder that was made elsewhere, given its files' contents."""
        with atomic.folder(self.runs / run_id) as made:
            for name, content in files.items():
                (made / name).write_bytes(content)

    def set_aside(self, run_id: str) -> Path:
        """Move a damaged run folder out of the way, to ``damaged/<id>-<n>``; return its place."""
        shelf = self.root / "damaged"
        shelf.mkdir(exist_ok=True)
        n = 1
        while (place := shelf / f"{run_id}-{n}").exists():
            n += 1
        (self.runs / run_id).rename(place)
        return place

    def write_plan(self, plan: Plan) -> None:
        """Remember what the study consists of, for ``status`` and ``report``."""
        content = {
            "name": plan.name,
            "description": plan.description,
            "runs": [
                {
                    "id": run.id,
                    "labels": run.labels(),
                    "evaluation": run.config.evaluation.model_dump(mode="json"),
                }
                for run in plan.runs
            ],
        }
        atomic.write_text(self.root / "study.json", json.dumps(content, indent=1))

    def planned(self) -> dict[str, Any]:
        """Return what :meth:`write_plan` wrote."""
        return json.loads((self.root / "study.json").read_text())

    def index(self) -> pd.DataFrame:
        """Return labels and scores of the planned runs that are finished, one row each."""
        folders = [self.run(planned["id"]) for planned in self.planned()["runs"]]
        folders = [folder for folder in folders if (folder.path / "metrics.json").exists()]
        stored = side_by_side(folder.metrics() for folder in folders)
        return pd.DataFrame(
            [
                {"run": folder.id, "cell": run["cell"], **run["labels"], **run["scores"]}
                for folder, run in zip(folders, stored, strict=True)
            ]
        )

    def write_index(self) -> None:
        """Write ``runs.parquet``, for those who read results without pyrovae."""
        atomic.write_bytes(self.root / "runs.parquet", self.index().to_parquet(index=False))


def history_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return the history of a run, a row for each record.

    ``measured`` of each is a :class:`pyrovae.measures.collapse.measure.AlongTraining`, whose
    columns follow those of the losses.
    """
    rows = [{name: getattr(r, name) for name in _LOSSES} | r.measured.columns for r in records]
    return pd.DataFrame(rows, columns=None if rows else [*_LOSSES, *_OF_UNITS])


#: Columns that every history has.
_LOSSES = ("step", "loss", "distortion", "rate")
_OF_UNITS = ("active_units", "kl", "var_mu", "mean_var", "collapsed")


def open_study(results: Path, name: str) -> Store:
    """Return the store of a study that has been run.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    return Store(study_root(results, name))


def find_run(results: Path, prefix: str) -> RunFolder:
    """Return the finished run whose id starts with ``prefix``, in any study.

    Raises
    ------
    ConfigError
        If there is none, or more than one, or a file of it is missing or damaged.
    """
    folder = _found_run(results, prefix)
    damage = folder.damage()
    if damage:
        raise ConfigError(f"{damage}; run its study again", "", str(folder.path))
    return folder


def _found_run(results: Path, prefix: str) -> RunFolder:
    given = Path(prefix)
    if (given / "metrics.json").exists():
        return RunFolder(given)
    found = sorted(
        p.parent
        for p in results.glob("*/runs/[!.]*/metrics.json")
        if p.parent.name.startswith(prefix)
    )
    ids = {p.name for p in found}
    if len(ids) != 1:
        problem = "no finished run has" if not ids else f"{len(ids)} runs have"
        raise ConfigError(f"{problem} an id that starts with '{prefix}'", "", str(results))
    return RunFolder(found[0])


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_checksums(folder: Path) -> None:
    """Write the checksums of the files of a run folder into it."""
    sums = {entry.name: _sha256(entry) for entry in sorted(folder.iterdir())}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1))


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses views and shared memory.
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
