"""All runs of a study pruned, once, for whoever reads what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields

import pandas as pd

from pyrovae.core.errors import PyrovaeError
from pyrovae.shrink.pruning.compare import Comparison
from pyrovae.shrink.pruning.prune_run import NothingToPrune, prune_run
from pyrovae.shrink.pruning.surgery import NothingLeft
from pyrovae.study.store import derived
from pyrovae.study.store.results import StudyResults

#: Name of the stage.
_STAGE = "pruning"
#: Draws for each of so many test data, for the ELBO before and after.
_SAMPLES, _POINTS = 20, 2000


def measure_pruning(study: StudyResults, *, tell: Callable[[str], None] = lambda _: None) -> None:
    """Prune every run of a study by use and keep what it changed with the study.

    Kept is a row for each run: ``run``, ``pruned`` (id of the smaller run, empty if nothing was
    inactive, or everything) and the fields of
    :class:`pyrovae.shrink.pruning.compare.Comparison`, in nats per datum. Runs that have not
    changed are not pruned again. The smaller runs are in the study
    ``<name>-pruned``.

    Parameters
    ----------
    study
        Of finished runs.
    tell
        Is told each run's id before it is pruned.

    Raises
    ------
    PyrovaeError
        If a run's family or network cannot be pruned.
    """
    kept = {row["run"]: row for row in derived.read(study.store, _STAGE).to_dict("records")}
    for run in study.runs["run"]:
        state = derived.state(study.store, [run])
        if kept.get(run, {}).get(derived.MADE_FROM) == state:
            continue
        tell(run)
        kept[run] = _pruned(study, run) | {derived.MADE_FROM: state}
        # A run takes seconds to minutes: what is done stays done.
        derived.write(study.store, _STAGE, pd.DataFrame(list(kept.values())))


def pruned_runs(study: StudyResults) -> pd.DataFrame:
    """Return what :func:`measure_pruning` kept, a row for each run of the study.

    Raises
    ------
    PyrovaeError
        If a run has not been pruned.
    """
    known = derived.read(study.store, _STAGE)
    states = {derived.state(study.store, [run]): run for run in study.runs["run"]}
    made = known[known[derived.MADE_FROM].isin(states)]
    absent = len(states) - len(made)
    if absent:
        raise PyrovaeError(
            f"{absent} of {len(states)} runs have not been pruned: "
            f"`pyrovae study measure {study.name} --pruning` does"
        )
    return made.drop(columns=derived.MADE_FROM).reset_index(drop=True)


def _pruned(study: StudyResults, run: str) -> dict[str, object]:
    try:
        found = prune_run(study.folder(run), samples=_SAMPLES, points=_POINTS)
    except (NothingToPrune, NothingLeft):
        nothing = {field.name: float("nan") for field in fields(Comparison)}
        return {"run": run, "pruned": "", **nothing}
    return {"run": run, "pruned": found.folder.id, **asdict(found.comparison)}
