"""A finished study as tables: what analyses and figures start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pyrovae.core.errors import PyrovaeError, diverged
from pyrovae.study.config.labels import LABELS, Label, columns, label_of, varying_settings
from pyrovae.study.config.run import RunConfig
from pyrovae.study.config.told import failure, told
from pyrovae.study.store.folders import SETTLED, RunFolder, Store, open_study
from pyrovae.study.store.settling import Settling
from pyrovae.training.settled import Settled


@dataclass(frozen=True)
class StudyResults:
    """The finished runs of a study.

    Attributes
    ----------
    name, description
        Of the study.
    runs
        One row for each finished run: ``run``, ``cell``, the labels (:attr:`labels`, ``seed``) and
        every score. Runs of a cell differ by their seed and nothing else. The text of a label tells
        values apart; :meth:`label` has it as data.
    failed
        Run id to step and cause, for runs that diverged, with what the run was.
    missing
        Ids of planned runs that have no result.
    store
        Where they are.
    configs
        The configuration of each run by id; read from the store if not given.
    """

    name: str
    description: str
    runs: pd.DataFrame
    failed: dict[str, str]
    missing: list[str]
    store: Store
    configs: Mapping[str, RunConfig] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read what was not given."""
        unread = [run for run in self.runs.get("run", []) if run not in self.configs]
        read = {run: self.folder(run).config() for run in unread}
        object.__setattr__(self, "configs", {**self.configs, **read})

    def folder(self, run: str) -> RunFolder:
        """Return one run's folder."""
        return self.store.run(run)

    @cached_property
    def absent(self) -> dict[str, str]:
        """What tells each :attr:`missing` run from the others, by its id."""
        if not self.missing:
            return {}
        planned = self.store.planned()["runs"]
        names = told([entry["labels"] for entry in planned])
        known = {entry["id"]: name for entry, name in zip(planned, names, strict=True)}
        return {run: known.get(run, "") for run in self.missing}

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What may tell runs apart: every part of a run, and each setting that varies."""
        known = (self.configs[run] for run in self.runs.get("run", []))
        return (*LABELS, *varying_settings(known))

    def label(self, run: str, part: str) -> Label:
        """Return a label of a run as data: part, name, parameters."""
        return label_of(self.configs[run], part)

    def varying(self) -> list[str]:
        """Return the labels in which the runs differ, seeds apart.

        Of the number of latent units that is said by the layers, where it follows from them.
        """
        found = [key for key in self.labels if self.runs[key].nunique() > 1]
        layers = next((key for key in ("layers", "layers.sizes") if key in found), None)
        if layers and "latent_dim" in found:
            counted = self.runs.groupby(layers, dropna=False)["latent_dim"].nunique()
            if (counted == 1).all():
                found.remove("latent_dim")
        return found

    @cached_property
    def settling(self) -> Settling:
        """Which of the runs have settled."""
        varying = self.varying() if len(self.runs) else []
        found, cells = {}, {}
        for row in self.runs.to_dict("records"):
            run = row["run"]
            # Only the reasons are read from each run's folder, of those that have any.
            known = row.get(SETTLED.key) == 1
            found[run] = Settled(True) if known else self.folder(run).settled()
            cells[run] = ", ".join(self.label(run, part).phrase() for part in varying)
        return Settling(found, cells)

    def units(self) -> pd.DataFrame:
        """Return one row for each run and latent unit.

        Columns: ``run``, the labels, ``unit``, ``kl``, ``var_mu``, ``mean_var``, ``active``, and
        ``rank`` (0 for the unit of largest KL in its run).
        """
        tables = [self.folder(run).units() for run in self.runs["run"]]
        for table in tables:
            table["rank"] = table["kl"].rank(ascending=False, method="first").astype(int) - 1
        return self._labelled(tables)

    def history(self) -> pd.DataFrame:
        """Return one row for each run and record; see :meth:`RunFolder.history`."""
        return self._labelled([self.folder(run).history() for run in self.runs["run"]])

    def _labelled(self, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Return the tables of all runs as one, with what tells each run from others in front."""
        lengths = [len(table) for table in tables]
        known = self.runs[["run", *self.labels, "seed"]]
        labels = known.loc[known.index.repeat(lengths)].reset_index(drop=True)
        return pd.concat([labels, pd.concat(tables, ignore_index=True)], axis="columns")


def load_study(path: str | Path) -> StudyResults:
    """Return a study's results from its folder, ``results/<name>``.

    Raises
    ------
    DataError
        If no study has been run there, or a file of it is damaged.
    """
    store = Store(Path(path))
    planned = store.planned()
    failures, missing = {}, []
    for entry in planned["runs"]:
        folder = store.run(entry["id"])
        stored = folder.failure()
        if stored:
            failures[entry["id"]] = stored
        elif not (folder.path / "metrics.json").exists():
            missing.append(entry["id"])
    runs, configs = store.finished()
    return StudyResults(
        planned["name"],
        planned["description"],
        runs,
        _told(failures, store, runs, configs),
        missing,
        store,
        configs,
    )


def load_finished(results: Path, name: str) -> StudyResults:
    """Return a study's results by its name; at least one run is finished.

    Raises
    ------
    PyrovaeError
        If there is no such study, or no run of it is finished.
    """
    found = load_study(open_study(results, name).root)
    if found.runs.empty:
        raise PyrovaeError(f"{found.store.root}: no run is finished, there is nothing to report")
    return found


def _told(
    failures: Mapping[str, dict[str, Any]],
    store: Store,
    finished: pd.DataFrame,
    configs: Mapping[str, RunConfig],
) -> dict[str, str]:
    """Return why runs failed, and in what they differ from other runs, finished or failed."""
    if not failures:
        return {}
    known = [*(store.run(run).config() for run in failures), *configs.values()]
    texts = [*(each["labels"] for each in failures.values()), *finished.to_dict("records")]
    what = dict(zip(failures, told(columns(known, texts)), strict=False))
    return {
        run: failure(diverged(stored["step"], stored["cause"]), what[run])
        for run, stored in failures.items()
    }
