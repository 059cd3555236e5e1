"""Sentences that captions share."""

from __future__ import annotations

from pyrovae.report.look import names
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.intervals import ENOUGH, LEVEL
from pyrovae.study.store.results import LABELS, StudyResults


def seeds(study: StudyResults) -> str:
    """Return how many seeds a cell has: ``"5 seeds"``, ``"3 to 5 seeds"``."""
    counts = study.runs.groupby("cell").size()
    low, high = int(counts.min()), int(counts.max())
    if low == high:
        return "1 seed" if high == 1 else f"{high} seeds"
    return f"{low} to {high} seeds"


def interval(study: StudyResults, shown_as: str) -> str:
    """Return what the intervals are, or that there are none."""
    if int(study.runs.groupby("cell").size().max()) < ENOUGH:
        return f"{seeds(study).capitalize()} a cell: too few for intervals."
    return f"{shown_as}: {LEVEL:.0%} Student t intervals of the mean over {seeds(study)}."


def setting(study: StudyResults, encoding: Encoding) -> str:
    """Return what is the same in all runs, and what goes along with what."""
    varying = study.varying()
    fixed = []
    for label in LABELS:
        if label in varying or label in encoding.labels:
            continue
        value = names.phrase(label, names.display(study.runs[label].iloc[0]))
        fixed.append(f"data set {value}" if label == "dataset" else value)
    parts = [f"The same in all runs: {', '.join(fixed)}."] if fixed else []
    parts += [f"{names.title(k)}: {pairs}." for k, pairs in encoding.tied.items()]
    return " ".join(parts)
