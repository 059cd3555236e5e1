"""What a disentanglement score varies with: the seed, the evaluation points, the dead units."""

from __future__ import annotations

import math

import pandas as pd

from pyrovae.measures.scores import score_of
from pyrovae.report import escapes
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import MISSING, VISIBLE

#: Mark of a score that changes when the inactive units are dropped.
CHANGES = "†"

CAPTION = (
    "Means over runs, of the active units alone and of all units; seed, points and change are of "
    "all units. Chance: mean score against factors whose rows are permuted, of the active units "
    "alone and of all units: what codes that tell nothing of the factors reach. "
    "Seed: standard deviation over the seeds of a cell, all scored on the same points. Points: "
    "standard error of one run's score from random halves of the evaluation points (delete-half "
    "jackknife), with the chance of votes and splits in it; the same points serve all seeds, so it "
    "is not part of the deviation over seeds. Both are root mean squares over cells. Change: the "
    f"score of the active units alone less that of all units, mean over runs. {CHANGES} marks "
    f"scores that change by more than {VISIBLE} in some cell, there by more than twice the "
    "standard error of the change over seeds."
)


def changed(presented: Presented) -> set[tuple[str, str]]:
    """Return cell and score wherever a score changes when the inactive units are dropped."""
    table = presented.variation
    if table.empty:
        return set()
    found = table[table["changes"]]
    return set(zip(found["cell"], found["score"], strict=True))


def markdown(presented: Presented) -> str:
    """Return a row for each score, pooled over cells; empty if there is no score."""
    table = presented.variation
    if table.empty:
        return ""
    lines = [
        "| Score | Active units | Chance | All units | Chance | Seed | Points "
        "| Change without inactive units | Cells that change |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, rows in table.groupby("score", sort=False):
        weight = rows["n"] / rows["n"].sum()
        flagged, told = int(rows["changes"].sum()), bool(rows["change"].notna().any())
        title = score_of(str(key)).title.replace("|", r"\|")
        cells = [
            escapes.markdown_line(title) + (f" {CHANGES}" if flagged else ""),
            _text((rows["active_only"] * weight).sum(min_count=1)),
            _text((rows["chance_active_only"] * weight).sum(min_count=1)),
            _text((rows["mean"] * weight).sum()),
            _text((rows["chance"] * weight).sum(min_count=1)),
            _text(_root_mean_square(rows["seed_sd"])),
            _text(_root_mean_square(rows["points_se"])),
            _text((rows["change"] * weight).sum(min_count=1), sign=True),
            f"{flagged} of {len(rows)}" if told else MISSING,
        ]
        lines.append(escapes.markdown_row(cells))
    return "\n".join(lines)


def _root_mean_square(values: pd.Series) -> float:
    return math.sqrt((values**2).mean())


def _text(value: float, *, sign: bool = False) -> str:
    if math.isnan(value):
        return MISSING
    return f"{value:{'+' if sign else ''}.4f}".replace("-", "−")
