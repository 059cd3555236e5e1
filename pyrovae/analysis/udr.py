"""Unsupervised disentanglement ranking of the runs of a cell, which differ by their seed."""

from __future__ import annotations

import math
from dataclasses import replace

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.udr import UDR, udr
from pyrovae.study.store.results import StudyResults

#: Test points that codes are compared on. The lasso fits each code of each pair of runs.
_POINTS = 1000


def with_udr(study: StudyResults) -> StudyResults:
    """Add the UDR score of each run (Duan et al. 2020) to a study.

    A run's score is the median of how well its codes match those of the other seeds of its cell,
    on the same test points, with units of at most 0.01 nats left out.

    Returns
    -------
    StudyResults
        ``runs`` has a column ``udr``: NaN for a cell with a single seed, or without stored codes.
        Without any score, the study as it was.
    """
    scores: dict[str, float] = {}
    for _, cell in study.runs.groupby("cell", sort=False):
        scores |= _of_cell(study, cell["run"].tolist())
    if not scores:
        return study
    runs = study.runs.assign(**{UDR.key: study.runs["run"].map(scores).astype(float)})
    return replace(study, runs=runs)


def _of_cell(study: StudyResults, runs: list[str]) -> dict[str, float]:
    folders = [study.folder(run) for run in runs]
    folders = [folder for folder in folders if (folder.path / "codes.npy").exists()]
    if len(folders) < 2:
        return {}
    codes = [folder.codes()[:_POINTS] for folder in folders]
    kl = [folder.units().sort_values("unit")["kl"].to_numpy() for folder in folders]
    try:
        result = udr(codes, kl)
    except ConfigError:
        return {}  # Scored on other numbers of points, or on too few: not comparable.
    per_model = result.parts["per_model"]
    assert isinstance(per_model, list)
    return {
        folder.id: float(score)
        for folder, score in zip(folders, per_model, strict=True)
        if not math.isnan(score)
    }
