"""Which run of a cell stands for it where only one can be shown."""

from __future__ import annotations

import pandas as pd

from pyrovae.study.store.results import StudyResults


def first_runs(study: StudyResults) -> pd.DataFrame:
    """Return the first finished seed of each cell, in the study's order: no choice by looks."""
    by_seed = study.runs.sort_values("seed", kind="stable")
    return by_seed.drop_duplicates("cell").sort_index()
