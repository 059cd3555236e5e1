"""What an archive says of itself: ``manifest.json``, its first entry.

An archive is a ZIP file: ``manifest.json``, then the files of ``results/<study>/`` under the same
paths. The manifest names the study, every file with size and SHA-256, and the packages of the
environment that wrote it.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import distributions
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pyrovae.core.errors import PyrovaeError

NAME = "manifest.json"
#: Windows refuses these as names of files, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_STUDY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class ArchiveError(PyrovaeError):
    """An archive that is damaged, not one of ours, or tries what it must not."""


class File(BaseModel):
    """One file of an archive."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of ``manifest.json``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal["pyrovae study 1"]
    study: str
    environment: dict[str, str]
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def parse(text: bytes) -> Manifest:
    """Return the manifest in ``text``.

    Raises
    ------
    ArchiveError
        If it is none, or names a study or a file in a way that could leave its folder, mean another
        file on another system, or collide with another one.
    """
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as failure:
        first = failure.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ArchiveError(f"{NAME}: {place}: {first['msg']}") from None
    if not _STUDY_NAME.fullmatch(manifest.study):
        raise ArchiveError(f"{NAME}: {manifest.study!r} is no name of a study")
    seen: dict[str, str] = {}
    for path in manifest.files:
        check_path(path)
        # Two names that differ by case only are one file on macOS and Windows.
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            raise ArchiveError(f"{path!r} and {other!r} are one file on some systems")
    for path in manifest.files:
        for parent in PurePosixPath(path).parents:
            if str(parent).casefold() in seen:
                raise ArchiveError(f"{str(parent)!r} is both a file and a folder")
    if "study.json" not in manifest.files:
        raise ArchiveError("holds no study.json, so it is no study")
    return manifest


def check_path(path: str) -> None:
    """Refuse a path that is not plainly inside its folder on every system.

    Raises
    ------
    ArchiveError
        For absolute paths, ``..``, backslashes, colons, control characters, names that Windows
        keeps for devices, hidden files and anything that is not in its shortest form.
    """
    parts = path.split("/")
    plain = all(
        part and not part.startswith(".") and not part.endswith((" ", ".")) and len(part) <= 200
        for part in parts
    )
    odd = _FORBIDDEN.search(path) or any(_DEVICES.fullmatch(part) for part in parts)
    if not plain or odd or len(path) > 1000:
        raise ArchiveError(f"the path {path!r} is not allowed")


def environment() -> dict[str, str]:
    """Return the versions of Python and of every installed package, and the platform."""
    packages = {
        str(found.metadata["Name"]): found.version
        for found in distributions()
        if found.metadata["Name"]
    }
    about = {"python": sys.version.split()[0], "platform": platform.platform()}
    return about | dict(sorted(packages.items(), key=lambda item: item[0].lower()))
