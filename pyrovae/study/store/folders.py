"""Where results live: one folder a run, complete or absent, and an index that can be rebuilt.

::

    results/<study>/
      study.json                 what the study planned last
      checkpoints/               runs in mid-training
      damaged/                   run folders whose checksums did not hold, set aside
      runs.parquet               index: labels and scores, one row a finished run
      derived/<stage>.parquet    what is computed from finished runs before they are reported
      runs/<id>/config.yaml      the resolved configuration
                metrics.json     scores, and the estimators that made them
                history.parquet  one row a record along training
                units.parquet    one row a latent unit
                directions.parquet  one row a direction of a code that has no special axes
                codes.npy        posterior means of the test points that were scored
                factors.npy      their ground-truth factors, where known
                labels.parquet   what else is known of them, by name
                condition.json   the labels and covariates that a conditional model is given
                drawn.npy        one draw from q(z|x) of each
                costs.npy        what replacing a unit costs in the first of them, in nats
                posterior.nc     draws, for ArviZ (InferenceData or, in 1.x, DataTree)
                images.safetensors, model.safetensors, environment.json
                failure.json     instead of all that, if the run diverged
                checksums.json   sha256 of each file but the next
                README.md        the model card; runs of earlier versions have none
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, DataError, first_line
from pyrovae.core.reading import read_json, reading
from pyrovae.datasets import DATASETS
from pyrovae.datasets.context import Columns
from pyrovae.measures import arviz as inference_data
from pyrovae.measures.collapse.measure import USED_UNITS
from pyrovae.measures.evaluate import Evaluation, EvaluationSettings
from pyrovae.measures.scores import OTHER, Score, declare
from pyrovae.study.config import yaml
from pyrovae.study.config.labels import cells, columns
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import Plan, PlannedRun, labels_of
from pyrovae.study.store import card, stored_config
from pyrovae.study.store.checkpoints import Checkpoints
from pyrovae.study.store.columns import has_all, side_by_side
from pyrovae.study.store.status import FAILURE, read_plan, slip, study_root
from pyrovae.training import Diverged
from pyrovae.training.settled import NOT_RECORDED, Settled
from pyrovae.training.validation import Kept

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["done", "failed", "outdated", "missing"]
#: What helps against a file that is missing or damaged.
_AGAIN = "run its study again"
#: Fields of ``metrics.json`` that every version has written.
_METRICS = {"cell": str, "labels": dict, "scores": dict, "estimators": dict, "evaluation": dict}

SETTLED = declare(
    Score(
        "settled",
        "Settled",
        kind="proportion",
        group=OTHER,
        meaning="Whether bound and counts of units stood still when training ended: 1 or 0.",
    )
)


@dataclass(frozen=True)
class RunFolder:
    """One run's results on disk.

    Parameters
    ----------
    path
        ``results/<study>/runs/<id>``.

    Raises
    ------
    DataError
        By every method that reads, if a file is missing or damaged.
    """

    path: Path

    @property
    def id(self) -> str:
        """The run's hash."""
        return self.path.name

    @property
    def study(self) -> Path:
        """The folder of the study that the run is of."""
        return self.path.parent.parent

    def config(self) -> RunConfig:
        """Return the resolved configuration."""
        with self._reading("config.yaml", "the configuration of a run") as path:
            return RunConfig.model_validate(stored_config.read(path))

    def metrics(self) -> dict[str, Any]:
        """Return scores, estimators, names of the factors, labels, cell and settings by name.

        See :class:`pyrovae.measures.evaluate.Evaluation`.
        """
        return self._json("metrics.json", "the scores of a run", _METRICS)

    def failure(self) -> dict[str, Any] | None:
        """Return ``step`` and ``cause`` of a diverged run."""
        if not (self.path / "failure.json").exists():
            return None
        return self._json("failure.json", "the end of a run", FAILURE)

    def history(self) -> pd.DataFrame:
        """Return one row for each record: losses, and lists with a value for each unit."""
        return self._table("history.parquet", "the history of a run", "step", "loss")

    def units(self) -> pd.DataFrame:
        """Return one row for each latent unit, measured on the test set."""
        return self._table("units.parquet", "a table of units", "unit", "kl")

    def classes(self) -> list[int] | None:
        """Return how many labels each unit has, 0 for a real one; ``None`` where all are real."""
        units = self.units().sort_values("unit")
        return units["classes"].astype(int).tolist() if "classes" in units else None

    def directions(self) -> pd.DataFrame | None:
        """Return one row for each direction of a code that has no special axes, else ``None``."""
        if not (self.path / "directions.parquet").exists():
            return None
        return self._table("directions.parquet", "a table of directions", "direction", "used")

    def settled(self) -> Settled:
        """Return whether the run had settled when its training ended."""
        content = self.metrics().get("settled")
        return NOT_RECORDED if content is None else Settled.of(content)

    def kept(self) -> Kept | None:
        """Return the record whose parameters these are; ``None`` for the last step's."""
        content = self.metrics().get("kept")
        return content and Kept.of(content)

    def ended(self) -> str:
        """Return in words how training ended: settled or not, and which parameters were kept."""
        kept = self.kept()
        return self.settled().told + (f"; {kept.told}" if kept else "")

    def codes(self) -> np.ndarray:
        """Return the posterior means of the scored test points, ``(n, latent_dim)``."""
        return self._array("codes.npy", "an array of codes")

    def factors(self) -> np.ndarray | None:
        """Return the ground-truth factors of those points, ``(n, k)``, if they are known."""
        if not (self.path / "factors.npy").exists():
            return None
        return self._array("factors.npy", "an array of factors")

    def drawn(self) -> np.ndarray | None:
        """Return one draw from q(z|x) of each of those points, ``(n, latent_dim)``, if kept."""
        if not (self.path / "drawn.npy").exists():
            return None
        return self._array("drawn.npy", "an array of codes")

    def costs(self) -> np.ndarray | None:
        """Return nats that replacing a unit costs in the first of them, ``(m, d)``, if kept."""
        if not (self.path / "costs.npy").exists():
            return None
        return self._array("costs.npy", "an array of costs")

    def labels(self) -> pd.DataFrame:
        """Return all that is known of those points: labels, and factors that are no labels.

        One row for each point; no columns where nothing is known.
        """
        import pandas as pd

        factors, names = self.factors(), self.metrics().get("factor_names", ())
        known: dict[str, Any] = {}
        if (self.path / "labels.parquet").exists():
            table = self._table("labels.parquet", "a table of labels")
            known = {str(name): table[name] for name in table}
        if factors is not None:
            named = names or [f"factor_{j}" for j in range(factors.shape[1])]
            known |= {name: factors[:, j] for j, name in enumerate(named) if str(name) not in known}
        return pd.DataFrame(known, index=range(len(self.codes())))

    def columns(self) -> Columns | None:
        """Return the labels and covariates that the model is given; ``None`` for most."""
        if not (self.path / "condition.json").exists():
            return None
        content = self._json("condition.json", "what a run is given", {"columns": list})
        return Columns.of(content["columns"])

    def images(self) -> dict[str, Tensor]:
        """Return inputs, reconstructions, traversals and samples."""
        with self._reading("images.safetensors", "a file of images") as path:
            return load_file(path)

    def parameters(self) -> dict[str, Tensor]:
        """Return the trained model's tensors."""
        with self._reading("model.safetensors", "a file of parameters") as path:
            return load_file(path)

    def restore(self, model: nn.Module) -> None:
        """Give a model the trained tensors."""
        with self._reading("model.safetensors", "what this run's configuration makes") as path:
            model.load_state_dict(load_file(path))

    def environment(self) -> dict[str, Any]:
        """Return versions, machine and training time, as they were when the run was made."""
        return self._json("environment.json", "the environment of a run", {})

    def posterior(self) -> inference_data.InferenceData:
        """Return the draws from the guide."""
        with self._reading("posterior.nc", "a file of draws") as path:
            return inference_data.load(path)

    def _unreadable(self) -> str | None:
        """Return why a run's scores cannot be read, if it has any."""
        try:
            if (self.path / "metrics.json").exists():
                self.metrics()
        except DataError as failure:
            return f"metrics.json cannot be read: {first_line(failure.__cause__ or failure)}"
        return None

    @contextmanager
    def _reading(self, name: str, what: str) -> Iterator[Path]:
        with reading(self.path / name, what, _AGAIN):
            yield self.path / name

    def _table(self, name: str, what: str, *columns: str) -> pd.DataFrame:
        import pandas as pd

        # Given the path of a folder, pandas would read the tables in it.
        with self._reading(name, what) as path, path.open("rb") as stream:
            table = pd.read_parquet(stream)
            if not set(columns) <= set(table.columns):
                raise ValueError(f"it lacks one of the columns {', '.join(columns)}")
            return table

    def _array(self, name: str, what: str) -> np.ndarray:
        with self._reading(name, what) as path:
            if not path.read_bytes().startswith(np.lib.format.MAGIC_PREFIX):
                # NumPy takes any other file for a pickle, and tells how to load it nevertheless.
                raise ValueError("it does not begin as one")
            return np.load(path, allow_pickle=False)

    def _json(self, name: str, what: str, fields: Mapping[str, type]) -> dict[str, Any]:
        return read_json(self.path / name, what, fields, advice=_AGAIN)

    def damage(self) -> str | None:
        """Return the first file that is not what was written, and why; ``None`` if all are.

        A folder from before there were checksums has nothing to be compared with.
        """
        listed = self.path / "checksums.json"
        if not listed.exists():
            return self._unreadable()
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
        measured_as = _with_later_settings(stored["evaluation"])
        if measured_as != wanted or USED_UNITS.key not in stored["scores"]:
            return "outdated"
        return "done" if has_all(stored) else "outdated"

    def write_run(
        self,
        run: PlannedRun,
        state: dict[str, Tensor],
        history: pd.DataFrame,
        evaluation: Evaluation,
        environment: dict[str, Any],
        settled: Settled,
        kept: Kept | None = None,
    ) -> None:
        """Store a finished run; its folder appears complete, in one step."""
        import pandas as pd

        with atomic.folder(self.runs / run.id) as made:
            (made / "config.yaml").write_text(yaml.dump(run.config.model_dump(mode="json")))
            metrics = {
                "cell": run.config.cell(),
                "labels": run.labels(),
                "scores": evaluation.scores | settled.scores,
                "settled": settled.content(),
                "estimators": evaluation.estimators,
                "factor_names": evaluation.factor_names,
                "evaluation": run.config.evaluation.model_dump(mode="json"),
            }
            if kept is not None:
                metrics["kept"] = kept.content()
            (made / "metrics.json").write_text(json.dumps(metrics, indent=1))
            if evaluation.columns is not None:
                told = {"columns": evaluation.columns.content()}
                (made / "condition.json").write_text(json.dumps(told, indent=1))
            history.to_parquet(made / "history.parquet", index=False)
            evaluation.units.to_parquet(made / "units.parquet", index=False)
            if evaluation.directions is not None:
                evaluation.directions.to_parquet(made / "directions.parquet", index=False)
            np.save(made / "codes.npy", evaluation.codes.astype(np.float32))
            if evaluation.factors is not None:
                np.save(made / "factors.npy", evaluation.factors.astype(np.int32))
            if evaluation.drawn is not None:
                np.save(made / "drawn.npy", evaluation.drawn.astype(np.float32))
            if evaluation.costs is not None:
                np.save(made / "costs.npy", evaluation.costs.astype(np.float32))
            if evaluation.labels:
                labels = pd.DataFrame(evaluation.labels)
                labels.to_parquet(made / "labels.parquet", index=False)
            (made / "images.safetensors").write_bytes(save(_contiguous(evaluation.images)))
            (made / "model.safetensors").write_bytes(save(_contiguous(state)))
            (made / "environment.json").write_text(json.dumps(environment, indent=1))
            inference_data.save(evaluation.posterior, made / "posterior.nc")
            _write_checksums(made)
            about = card.card(
                run.id,
                self.root.name,
                run.config,
                metrics,
                environment,
                event_shape=evaluation.images["inputs"].shape[1:],
                fingerprint=run.fingerprint,
            )
            (made / card.NAME).write_text(about)

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

    def relocate(self, run: PlannedRun) -> None:
        """Note in a finished run where its data are now, if they were moved."""
        folder, dataset = self.run(run.id), run.config.dataset
        if not DATASETS.places(dataset["name"]) or folder.config().dataset == dataset:
            return
        metrics = folder.metrics() | {"cell": run.config.cell(), "labels": run.labels()}
        with atomic.folder(folder.path) as made:
            shutil.copytree(folder.path, made, dirs_exist_ok=True)
            (made / "config.yaml").write_text(yaml.dump(run.config.model_dump(mode="json")))
            (made / "metrics.json").write_text(json.dumps(metrics, indent=1))
            (made / "checksums.json").unlink()
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
        rows = labels_of(plan.runs)
        content = {
            "name": plan.name,
            "description": plan.description,
            "runs": [
                {
                    "id": run.id,
                    "labels": labels,
                    "evaluation": run.config.evaluation.model_dump(mode="json"),
                }
                for run, labels in zip(plan.runs, rows, strict=True)
            ],
        }
        atomic.write_text(self.root / "study.json", json.dumps(content, indent=1))

    def planned(self) -> dict[str, Any]:
        """Return what :meth:`write_plan` wrote."""
        return read_plan(self.root)

    def index(self) -> pd.DataFrame:
        """Return labels and scores of the planned runs that are finished, one row each.

        Labels are the parts of a run, and the settings that vary among these runs, under their
        dotted paths (:func:`pyrovae.study.config.labels.columns`).
        """
        return self.finished()[0]

    def finished(self) -> tuple[pd.DataFrame, dict[str, RunConfig]]:
        """Return :meth:`index`, and the configuration of each of its runs by id."""
        import pandas as pd

        folders = [self.run(planned["id"]) for planned in self.planned()["runs"]]
        folders = [folder for folder in folders if (folder.path / "metrics.json").exists()]
        configs = [folder.config() for folder in folders]
        stored = side_by_side(folder.metrics() for folder in folders)
        rows = [
            {"run": folder.id, "cell": cell, **labels, **metrics["scores"]}
            for folder, cell, labels, metrics in zip(
                folders,
                cells(configs, [metrics["cell"] for metrics in stored]),
                columns(configs, [metrics["labels"] for metrics in stored]),
                stored,
                strict=True,
            )
        ]
        return pd.DataFrame(rows), {
            folder.id: config for folder, config in zip(folders, configs, strict=True)
        }

    def write_index(self) -> None:
        """Write ``runs.parquet``, for those who read results without pyrovae."""
        atomic.write_bytes(self.root / "runs.parquet", self.index().to_parquet(index=False))


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
        raise ConfigError(f"{damage}; {_AGAIN}", "", str(folder.path))
    return folder


def _found_run(results: Path, prefix: str) -> RunFolder:
    if not prefix:
        raise ConfigError(
            "a run is named by the start of its id, or by its folder", "", str(results)
        )
    given = Path(prefix)
    if (given / "metrics.json").exists():
        return RunFolder(given)
    found = sorted(
        p.parent
        for p in results.glob("*/runs/[!.]*/metrics.json")
        if p.parent.name.startswith(prefix)
    )
    ids = {p.name: RunFolder(p) for p in found}
    if not ids:
        said = f"no finished run has an id that starts with '{prefix}'{slip(results)}"
        raise ConfigError(said, "", str(results))
    if len(ids) > 1:
        # As many digits as tell them apart, and no fewer than tables show.
        digits = next(n for n in range(8, 65) if len({name[:n] for name in ids}) == len(ids))
        some = list(ids.items())[:_LISTED]
        listed = ", ".join(f"{name[:digits]} ({_about(folder)})" for name, folder in some)
        more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
        said = f"{len(ids)} runs have an id that starts with '{prefix}': {listed}{more}"
        raise ConfigError(said, "", str(results))
    return RunFolder(found[0])


#: Runs that are named when several begin alike.
_LISTED = 8


def _about(folder: RunFolder) -> str:
    """Return the study of a run, and what it is there."""
    labels = folder.metrics()["labels"]
    said = [str(labels[key]) for key in ("prior", "posterior") if labels.get(key) is not None]
    return ", ".join([folder.study.name, *said, f"seed {labels.get('seed')}"])


def _with_later_settings(stored: dict[str, Any]) -> dict[str, Any]:
    """Return stored settings of an evaluation with those that came later, at their defaults."""
    try:
        return EvaluationSettings.model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored  # Another version's: whatever was measured, it was not this.


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
