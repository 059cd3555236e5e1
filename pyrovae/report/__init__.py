"""Reports: figures and tables from a study's results."""

from __future__ import annotations

from pyrovae.report.write import write_report

__all__ = ["write_report"]
