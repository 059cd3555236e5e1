"""A study in one file, for someone else: written with checksums, opened with distrust."""

from __future__ import annotations

from pyrovae.sharing.manifest import ArchiveError
from pyrovae.sharing.pack import export_study
from pyrovae.sharing.unpack import Limits, import_study

__all__ = ["ArchiveError", "Limits", "export_study", "import_study"]
