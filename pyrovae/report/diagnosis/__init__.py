"""Figures of one run's diagnosis."""

from __future__ import annotations

from pyrovae.report.diagnosis.report import DiagnosisReport
from pyrovae.report.diagnosis.words import said
from pyrovae.report.diagnosis.write import write_missing_figures

__all__ = ["DiagnosisReport", "said", "write_missing_figures"]
