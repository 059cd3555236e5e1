"""The scores that a page shows: of all runs side by side, and of one run in groups."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pyrovae.measures.scores import STANDARD_ERROR, Score, place_of, score_of
from pyrovae.report.look.scores import table_scores


def columns(runs: pd.DataFrame) -> list[Score]:
    """Return the columns of a study's run table: the report's scores that some run has."""
    return [s for s in table_scores(runs) if s.key in runs and runs[s.key].notna().any()]


def score_groups(
    scores: Mapping[str, float],
) -> dict[str, list[tuple[str, float, float | None]]]:
    """Return all scores of a run as ``(title with unit, value, standard error)``, by their group.

    An error is shown beside what it is of, and has no line of its own.
    """
    groups: dict[str, list[tuple[str, float, float | None]]] = {}
    for key, value in scores.items():
        if key.endswith(STANDARD_ERROR) and key.removesuffix(STANDARD_ERROR) in scores:
            continue
        score, error = score_of(key), scores.get(key + STANDARD_ERROR)
        groups.setdefault(score.group, []).append((score.axis_label, value, error))
    return {group: groups[group] for group in sorted(groups, key=place_of)}
