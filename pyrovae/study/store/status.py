"""How far a study is: from names of files and its index, so that ten thousand runs take no time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import ArrowInvalid, parquet

from pyrovae.core.errors import ConfigError, did_you_mean, diverged
from pyrovae.core.reading import read_json, reading
from pyrovae.study.config.told import failure, told

_PLAN = {"name": str, "description": str, "runs": list}
#: Fields of ``failure.json``.
FAILURE = {"step": int, "cause": str}


@dataclass(frozen=True)
class Progress:
    """The state of the planned runs of a study.

    Attributes
    ----------
    name
        Of the study.
    done, missing
        Ids of runs with and without a result.
    failed
        Run id to step and cause, for runs that diverged, with what the run was.
    in_training
        Ids of missing runs that have a checkpoint.
    names
        Run id to what tells the run from others, for all of them.
    unsettled
        Run id to why a run has not settled, or why that is not known, with what the run was.
    """

    name: str
    done: list[str]
    failed: dict[str, str]
    missing: list[str]
    in_training: list[str]
    unsettled: dict[str, str]
    names: dict[str, str]


def study_root(results: Path, name: str) -> Path:
    """Return the folder of a study that has been run.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    root = results / name
    if not _is_name(name) or not (root / "study.json").exists():
        known = [p.parent.name for p in results.glob("*/study.json")]
        said = slip(results) or did_you_mean(name, known)
        raise ConfigError(f"no study '{name}' has been run{said}", "", str(results))
    return root


def slip(results: Path) -> str:
    """Return what is wrong with a folder of results that is a study's own, or in one; or nothing.

    Completions of a shell end there.
    """
    inside = [results, *results.absolute().parents][:3]
    study = next((folder for folder in inside if (folder / "study.json").exists()), None)
    if study is None:
        return ""
    return f"; this is the folder of one study: give --results {study.parent}"


def _is_name(text: str) -> bool:
    """Tell whether a text names a folder inside another: no path, and no longer than systems allow.

    Names that the study's file would refuse stay good: folders may have been renamed.
    """
    return text not in ("", ".", "..") and not set("/\\\0") & set(text) and len(text) < 256


def read_plan(root: Path) -> dict[str, Any]:
    """Return what the study in ``root`` consists of: ``name``, ``description`` and ``runs``.

    Raises
    ------
    DataError
        If ``study.json`` is missing or damaged.
    """
    path, what = root / "study.json", "the plan of a study"
    advice = "running the study writes it again"
    planned = read_json(path, what, _PLAN, advice=advice)
    with reading(path, what, advice):
        if not all(isinstance(run["id"], str) for run in planned["runs"]):
            raise ValueError("a run's id is no word")
    return planned


def progress(root: Path) -> Progress:
    """Return the state of the study whose folder is ``root``."""
    planned = read_plan(root)
    runs, checkpoints = root / "runs", root / "checkpoints"
    kept = set(os.listdir(checkpoints)) if checkpoints.is_dir() else set()
    found = Progress(planned["name"], [], {}, [], [], {}, {})
    settled = _settled(root)
    names = told([entry["labels"] for entry in planned["runs"]])
    for entry, name in zip(planned["runs"], names, strict=True):
        run = entry["id"]
        found.names[run] = name
        if os.path.exists(runs / run / "metrics.json"):
            found.done.append(run)
            if run not in settled:
                why = _unsettled(Path(runs / run / "metrics.json"))
                if why:
                    found.unsettled[run] = failure(why, name)
        elif os.path.exists(path := runs / run / "failure.json"):
            stored = read_json(Path(path), "the end of a run", FAILURE)
            reason = diverged(stored["step"], stored["cause"])
            found.failed[run] = failure(reason, name)
        else:
            found.missing.append(run)
            if f"{run}.safetensors" in kept:
                found.in_training.append(run)
    return found


def _settled(root: Path) -> set[str]:
    """Return the runs that have settled as far as the index knows, without reading any of them."""
    try:
        table = parquet.read_table(root / "runs.parquet", columns=["run", "settled"])
    except (ArrowInvalid, OSError):  # absent, damaged, or of a version that did not know
        return set()
    columns = (table[name].to_pylist() for name in ("run", "settled"))
    return {run for run, settled in zip(*columns, strict=True) if settled == 1}


def _unsettled(metrics: Path) -> str:
    """Return why a run has not settled; empty if it has."""
    # It imports torch, which a study whose runs have settled does without.
    from pyrovae.training.settled import NOT_RECORDED, Settled

    stored = read_json(metrics, "the scores of a run", {}, advice="run its study again")
    settled = Settled.of(stored["settled"]) if "settled" in stored else NOT_RECORDED
    return "" if settled.yes else settled.told
