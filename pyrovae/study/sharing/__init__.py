"""A study in one file, for someone else: written with checksums, opened with distrust."""

from __future__ import annotations

from pyrovae.study.sharing.manifest import ArchiveError
from pyrovae.study.sharing.pack import export_study
from pyrovae.study.sharing.unpack import Limits, import_study

__all__ = ["ArchiveError", "Limits", "export_study", "import_study"]
