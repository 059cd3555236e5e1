"""Figures of the diagnoses of a study's runs, each in a folder beside its diagnosis."""

from __future__ import annotations

from pyrovae.report.diagnosis.report import DiagnosisReport
from pyrovae.report.look.style import PAPER, Style
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults


def write_missing_figures(study: StudyResults, *, style: Style = PAPER) -> list[DiagnosisFolder]:
    """Write the figures of the runs that have been diagnosed without them, as a study does.

    Returns
    -------
    list
        The diagnoses of all runs that have one, with their figures, in the study's order.
    """
    diagnosed = [
        stored
        for stored in (DiagnosisFolder.of(study.folder(run)) for run in study.runs["run"])
        if stored.exists
    ]
    for stored in diagnosed:
        if not stored.figures.exists():
            DiagnosisReport.of_run(stored).save(stored.figures, style=style)
    return diagnosed
