"""Sentences that captions share."""

from __future__ import annotations

import pandas as pd

from pyrovae.analysis.chance import COSTLY_PERMUTATIONS, PERMUTATIONS
from pyrovae.report.look import names
from pyrovae.report.look.intervals import ENOUGH, LEVEL
from pyrovae.report.look.presented import Presented

#: What becomes of an interval where seeds agree (:mod:`pyrovae.report.look.intervals`).
AGREEING = (
    "none where seeds agree exactly, save of counts, whose intervals are at least as wide as seeds "
    "that agree leave open"
)


def seeds(presented: Presented) -> str:
    """Return how many seeds a cell has: ``"5 seeds"``, ``"3 to 5 seeds"``."""
    counts = presented.runs.groupby("cell").size()
    low, high = int(counts.min()), int(counts.max())
    if low == high:
        return "1 seed" if high == 1 else f"{high} seeds"
    return f"{low} to {high} seeds"


def interval(presented: Presented, shown_as: str) -> str:
    """Return what the intervals are, or that there are none."""
    if int(presented.runs.groupby("cell").size().max()) < ENOUGH:
        return f"{seeds(presented).capitalize()} a cell: too few for intervals."
    return (
        f"{shown_as}: {LEVEL:.0%} Student t intervals of the mean over {seeds(presented)}, within "
        f"the range of the score; {AGREEING}."
    )


def chance(data: pd.DataFrame) -> str:
    """Return what the chance level is, of a figure whose data have one; else nothing."""
    if "chance" not in data or data["chance"].isna().all():
        return ""
    return (
        " Grey lines and bands: chance level, mean and range of the scores against factors whose "
        f"rows are permuted ({PERMUTATIONS} times a cell, {COSTLY_PERMUTATIONS} for scores that "
        "fit learners)."
    )


def setting(presented: Presented) -> str:
    """Return what is the same in all runs, and what goes along with what."""
    study, encoding = presented.study, presented.encoding
    told = {*study.varying(), *encoding.labels}
    run, fixed = study.runs["run"].iloc[0], []
    for label in study.labels:
        if label in told or study.runs[label].nunique() > 1:
            continue
        value = study.label(run, label).phrase()
        fixed.append(f"data set {value}" if label == "dataset" else value)
    parts = [f"The same in all runs: {', '.join(fixed)}."] if fixed else []
    parts += [f"{names.title(k)}: {pairs}." for k, pairs in encoding.tied.items()]
    return " ".join(parts)
