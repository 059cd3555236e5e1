"""The stored comparison, as reports use it: only if it is about the runs that are there."""

from __future__ import annotations

from pyrovae.analysis.study import StudyAnalysis, load_analysis
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.study.store.results import StudyResults


def current_analysis(study: StudyResults) -> StudyAnalysis:
    """Return the comparison of a study's runs.

    Raises
    ------
    NothingToDraw
        If there is none, or runs have come or gone since.
    """
    found = load_analysis(study)
    if found is None:
        raise NothingToDraw(f"the runs are not compared yet: pyrovae study analyse {study.name}")
    if not found.fresh:
        raise NothingToDraw(
            f"the runs have changed since they were compared: pyrovae study analyse {study.name}"
        )
    return found
