"""Unsupervised disentanglement ranking of the runs of a cell, which differ by their seed."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from pyrovae.analysis.active import is_active
from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.udr import UDR, udr
from pyrovae.study.store import derived
from pyrovae.study.store.results import StudyResults

#: Test points that codes are compared on. The lasso fits each code of each pair of runs.
_POINTS = 1000


def measure_udr(study: StudyResults) -> None:
    """Score the runs of each cell by UDR (Duan et al. 2020), and keep the scores with the study.

    A run's score is the median of how well its codes match those of the other seeds of its cell,
    on the same test points; active units alone count. A cell whose runs have not changed is not
    scored again.
    """
    known, parts = derived.read(study.store, UDR.key), []
    for _, cell in study.runs.groupby("cell", sort=False):
        runs = cell["run"].tolist()
        state = derived.state(study.store, runs)
        made = known[known[derived.MADE_FROM] == state]
        if len(made) == len(runs):
            parts.append(made)
            continue
        scores = _of_cell(study, runs)
        parts.append(
            pd.DataFrame(
                {
                    "run": runs,
                    UDR.key: [scores.get(run, math.nan) for run in runs],
                    derived.MADE_FROM: state,
                }
            )
        )
    if parts:
        derived.write(study.store, UDR.key, pd.concat(parts, ignore_index=True))


def with_udr(study: StudyResults) -> StudyResults:
    """Add the UDR score of each run to a study, as :func:`measure_udr` left it.

    Returns
    -------
    StudyResults
        ``runs`` has a column ``udr``: NaN for a cell with a single seed, without stored codes, or
        whose runs are others than those that were scored. Without any score, the study as it was.
    """
    known = derived.read(study.store, UDR.key)
    scores: dict[str, float] = {}
    if UDR.key in known:
        for _, cell in study.runs.groupby("cell", sort=False):
            made = known[known[derived.MADE_FROM] == derived.state(study.store, cell["run"])]
            scores |= dict(zip(made["run"], made[UDR.key], strict=True))
    if all(math.isnan(score) for score in scores.values()):
        return study
    runs = study.runs.assign(**{UDR.key: study.runs["run"].map(scores).astype(float)})
    return replace(study, runs=runs)


def _of_cell(study: StudyResults, runs: list[str]) -> dict[str, float]:
    folders = [study.folder(run) for run in runs]
    folders = [folder for folder in folders if (folder.path / "codes.npy").exists()]
    if len(folders) < 2:
        return {}
    if any(max(folder.classes() or [0]) > 2 for folder in folders):
        return {}  # Agreement is that of ranks, and labels are names.
    codes = [folder.codes()[:_POINTS] for folder in folders]
    units = [folder.units().sort_values("unit") for folder in folders]
    # The families' floors put idle units above any bound on KL: by one, agreement differs with the
    # prior where codes do not.
    active = [is_active(table).to_numpy() for table in units]
    try:
        result = udr(codes, active=active)
    except ConfigError:
        return {}  # Scored on other numbers of points, or on too few: not comparable.
    per_model = result.parts["per_model"]
    assert isinstance(per_model, list)
    return {folder.id: float(score) for folder, score in zip(folders, per_model, strict=True)}
