"""A finished study as tables: what analyses and figures start from."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pyrovae.core.errors import PyrovaeError, diverged
from pyrovae.study.config.run import COMPONENTS
from pyrovae.study.store.folders import RunFolder, Store, open_study

#: What tells runs from one another, besides the seed.
LABELS = (*COMPONENTS, "latent_dim")


@dataclass(frozen=True)
class StudyResults:
    """The finished runs of a study.

    Attributes
    ----------
    name, description
        Of the study.
    runs
        One row for each finished run: ``run``, ``cell``, the labels (:data:`LABELS`, ``seed``)
        and every score.
    failed
        Run id to step and cause, for runs that diverged.
    missing
        Ids of planned runs that have no result.
    """

    name: str
    description: str
    runs: pd.DataFrame
    failed: dict[str, str]
    missing: list[str]
    store: Store

    def folder(self, run: str) -> RunFolder:
        """Return one run's folder."""
        return self.store.run(run)

    def varying(self) -> list[str]:
        """Return the labels in which the runs differ, seeds apart."""
        return [key for key in LABELS if self.runs[key].nunique() > 1]

    def units(self) -> pd.DataFrame:
        """Return one row for each run and latent unit.

        Columns: ``run``, the labels, ``unit``, ``kl``, ``var_mu``, ``mean_var``, ``active``, and
        ``rank`` (0 for the unit of largest KL in its run).
        """
        tables = []
        for row in self.runs.to_dict("records"):
            table = self.folder(row["run"]).units()
            table["rank"] = table["kl"].rank(ascending=False, method="first").astype(int) - 1
            tables.append(_labelled(table, row))
        return pd.concat(tables, ignore_index=True)

    def history(self) -> pd.DataFrame:
        """Return one row for each run and record; see :meth:`RunFolder.history`."""
        tables = [
            _labelled(self.folder(row["run"]).history(), row)
            for row in self.runs.to_dict("records")
        ]
        return pd.concat(tables, ignore_index=True)


def _labelled(table: pd.DataFrame, row: dict[Hashable, Any]) -> pd.DataFrame:
    """Put what tells the run from others in front of a table of its own."""
    for i, key in enumerate(["run", *LABELS, "seed"]):
        table.insert(i, key, row[key])
    return table


def load_study(path: str | Path) -> StudyResults:
    """Return a study's results from its folder, ``results/<name>``.

    Raises
    ------
    DataError
        If no study has been run there, or a file of it is damaged.
    """
    store = Store(Path(path))
    planned = store.planned()
    failed, missing = {}, []
    for entry in planned["runs"]:
        folder = store.run(entry["id"])
        failure = folder.failure()
        if failure:
            failed[entry["id"]] = diverged(failure["step"], failure["cause"])
        elif not (folder.path / "metrics.json").exists():
            missing.append(entry["id"])
    return StudyResults(
        planned["name"], planned["description"], store.index(), failed, missing, store
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
