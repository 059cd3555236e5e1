"""What a disentanglement score varies with: the seed, the evaluation points, the dead units."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
import pandas as pd

from pyrovae.measures.scores import ACTIVE_ONLY, STANDARD_ERROR, score_of
from pyrovae.report.look.encoding import encode
from pyrovae.report.look.intervals import ENOUGH
from pyrovae.report.look.scores import MISSING, disentanglement_scores
from pyrovae.study.store.results import StudyResults

#: Mark of a score that changes when the inactive units are dropped.
CHANGES = "†"
#: A change of a score that is worth telling: it shows in the second decimal.
VISIBLE = 0.005

CAPTION = (
    "Seed: standard deviation over the seeds of a cell, all scored on the same points. Points: "
    "standard error of one run's score from random halves of the evaluation points (delete-half "
    "jackknife), with the chance of votes and splits in it; the same points serve all seeds, so it "
    "is not part of the deviation over seeds. Both are root mean squares over cells. Change: the "
    f"score of the active units alone less that of all units, mean over runs. {CHANGES} marks "
    f"scores that change by more than {VISIBLE} in some cell, there by more than twice the "
    "standard error of the change over seeds."
)


def variation_table(study: StudyResults) -> pd.DataFrame:
    """Tell apart what a score varies with, for each cell.

    Returns
    -------
    DataFrame
        One row for each score and cell: ``score``, ``cell``, the labels, ``n`` runs that have the
        score, ``mean``; ``seed_sd``, the standard deviation over seeds (NaN for one);
        ``points_se``, the root mean square of the runs' standard errors (NaN if none was
        estimated); ``active_only``, the mean score of the active units alone; ``change``, that less
        ``mean``, ``change_se``, its standard error over seeds, and ``changes``, whether it is more
        than `VISIBLE` and, from three seeds on, more than twice ``change_se``.
    """
    runs, labels = study.runs, study.varying() or encode(study).labels
    rows: list[dict[Hashable, object]] = []
    for score in disentanglement_scores(runs):
        key = score.key
        for cell, group in runs.groupby("cell", sort=False):
            known = group[group[key].notna()]
            if known.empty:
                continue
            errors, alone = _column(known, key + STANDARD_ERROR), _column(known, key + ACTIVE_ONLY)
            differences = (alone - known[key]).to_numpy()
            change, change_se = float(differences.mean()), _sd(differences) / math.sqrt(len(known))
            sure = len(known) < ENOUGH or abs(change) > 2 * change_se
            rows.append(
                {
                    "score": key,
                    "cell": cell,
                    **{label: known[label].iloc[0] for label in labels},
                    "n": len(known),
                    "mean": known[key].mean(),
                    "seed_sd": _sd(known[key].to_numpy()),
                    "points_se": math.sqrt((errors**2).mean()),
                    "active_only": alone.mean(),
                    "change": change,
                    "change_se": change_se,
                    "changes": bool(abs(change) > VISIBLE and sure),
                }
            )
    return pd.DataFrame(rows)


def changed(study: StudyResults) -> set[tuple[str, str]]:
    """Return cell and score wherever a score changes when the inactive units are dropped."""
    table = variation_table(study)
    if table.empty:
        return set()
    found = table[table["changes"]]
    return set(zip(found["cell"], found["score"], strict=True))


def markdown(study: StudyResults) -> str:
    """Return a row for each score, pooled over cells; empty if there is no score."""
    table = variation_table(study)
    if table.empty:
        return ""
    lines = [
        "| Score | Mean | Seed | Points | Change without inactive units | Cells that change |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key, rows in table.groupby("score", sort=False):
        weight = rows["n"] / rows["n"].sum()
        flagged, told = int(rows["changes"].sum()), bool(rows["change"].notna().any())
        title = score_of(str(key)).title.replace("|", r"\|")
        cells = [
            title + f" {CHANGES}" * bool(flagged),
            _text((rows["mean"] * weight).sum()),
            _text(_root_mean_square(rows["seed_sd"])),
            _text(_root_mean_square(rows["points_se"])),
            _text((rows["change"] * weight).sum(min_count=1), sign=True),
            f"{flagged} of {len(rows)}" if told else MISSING,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _column(runs: pd.DataFrame, key: str) -> pd.Series:
    return runs[key] if key in runs else pd.Series(math.nan, index=runs.index)


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _root_mean_square(values: pd.Series) -> float:
    return math.sqrt((values**2).mean())


def _text(value: float, *, sign: bool = False) -> str:
    if math.isnan(value):
        return MISSING
    return f"{value:{'+' if sign else ''}.4f}".replace("-", "−")
