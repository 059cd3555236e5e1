"""Chance levels: what disentanglement scores are where codes and factors have nothing in common.

The rows of the factors are permuted against those of the codes, and each score is computed again.
Its bias (of few points, of many units) stays, what the codes tell is gone (Good 2005, *Permutation,
Parametric and Bootstrap Tests of Hypotheses*, section 1.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyrovae.measures.disentanglement import is_costly, needs_factors
from pyrovae.measures.disentanglement.representation import Resampling, score_representation
from pyrovae.measures.scores import ACTIVE_ONLY, DISENTANGLEMENT, USED_ONLY, score_of
from pyrovae.study.store import derived
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.results import StudyResults

#: Name of the stage.
_STAGE = "chance"
#: Permutations of each cell, over its runs in turn: for metrics that count, and for those that fit
#: learners, which take seconds.
PERMUTATIONS, COSTLY_PERMUTATIONS = 10, 2


def measure_chance(study: StudyResults) -> None:
    """Score the runs of each cell against permuted factors, and keep the scores with the study.

    Kept is a row for each score and permutation: ``cell``, ``score``, ``run``, ``permutation``,
    ``value``. A cell whose runs have not changed is not scored again; of one without factors there
    is nothing to keep.
    """
    known, parts = derived.read(study.store, _STAGE), []
    for cell, runs in study.runs.groupby("cell", sort=False)["run"]:
        state = derived.state(study.store, runs)
        made = known[known[derived.MADE_FROM] == state]
        if made.empty:
            columns = ["run", "permutation", "score", "value"]
            made = pd.DataFrame(_of_cell(study, runs.tolist()), columns=columns)
            made = made.assign(cell=cell, **{derived.MADE_FROM: state})
        if len(made):
            parts.append(made)
    if parts:
        derived.write(study.store, _STAGE, pd.concat(parts, ignore_index=True))


def chance_levels(study: StudyResults) -> pd.DataFrame:
    """Return the chance level of each score in each cell, as :func:`measure_chance` left it.

    Returns
    -------
    DataFrame
        A row for each ``cell`` and ``score``: ``chance``, the mean over permutations,
        ``chance_low`` and ``chance_high``, the least and the largest of them, and ``n``, how many
        there are. Empty if nothing was measured of the runs as they are.
    """
    columns = ["cell", "score", "chance", "chance_low", "chance_high", "n"]
    known = derived.read(study.store, _STAGE)
    if known.empty:
        return pd.DataFrame(columns=columns)
    cells = study.runs.groupby("cell", sort=False)["run"]
    states = {derived.state(study.store, runs) for _, runs in cells}
    known = known[known[derived.MADE_FROM].isin(states)]
    found = known.groupby(["cell", "score"], sort=False)["value"]
    summary = found.agg(chance="mean", chance_low="min", chance_high="max", n="count")
    return summary.reset_index()[columns]


def _of_cell(study: StudyResults, runs: Sequence[str]) -> list[tuple[str, int, str, float]]:
    """Return run, permutation, score and value."""
    found = []
    for i in range(max(PERMUTATIONS, COSTLY_PERMUTATIONS)):
        run = runs[i % len(runs)]
        folder, config = study.folder(run), study.configs[run]
        factors = folder.factors()
        if factors is None:
            continue
        asked = [m for m in config.evaluation.metrics if needs_factors(m["name"])]
        if i >= COSTLY_PERMUTATIONS:
            asked = [m for m in asked if not is_costly(m["name"])]
        rows = np.random.default_rng([config.seed, i, *_STAGE.encode()])
        scores = _scores(
            folder.codes(),
            factors[rows.permutation(len(factors))],
            _alone(folder),
            asked,
            config.seed + i,
            folder.classes(),
        )
        found += [(run, i, key, value) for key, value in scores.items()]
    return found


def _alone(folder: RunFolder) -> dict[str, np.ndarray]:
    units = folder.units().sort_values("unit")
    suffix, column = (USED_ONLY, "used") if "used" in units else (ACTIVE_ONLY, "active")
    return {suffix: units[column].to_numpy(dtype=bool)}


def _scores(
    codes: np.ndarray,
    factors: np.ndarray,
    alone: Mapping[str, np.ndarray],
    metrics: list[dict[str, Any]],
    seed: int,
    classes: Sequence[int] | None,
) -> dict[str, float]:
    none = Resampling(halves=0, costly_halves=0)
    found, _ = score_representation(codes, factors, alone, metrics, none, seed, classes)
    return {
        key: value
        for key, value in found.items()
        if score_of(key).group == DISENTANGLEMENT and np.isfinite(value)
    }
