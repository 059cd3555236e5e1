"""A study's folder as one archive."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pyrovae.core import atomic
from pyrovae.study.sharing import manifest as manifests
from pyrovae.study.sharing.manifest import ArchiveError, File, Manifest
from pyrovae.study.store.results import StudyResults

#: Every entry has this date: the same results give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644
_CHUNK = 1 << 20


def export_study(study: StudyResults, path: Path | None = None) -> Path:
    """Write a study with all it has (runs, configurations, environments, report, analysis, page).

    Parameters
    ----------
    study
        Finished or not.
    path
        Of the archive; ``<study>.zip`` in the working directory if not given. It appears complete.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    ArchiveError
        If a file changes while it is read, or the study's folder holds what no archive may.
    """
    path = path or Path(f"{study.store.root.name}.zip")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {name: File(size=f.stat().st_size, sha256=_hash(f)) for name, f in _files(study)}
    about = Manifest(
        format="pyrovae study 1",
        study=study.store.root.name,
        environment=manifests.environment(),
        files=files,
    )
    text = about.model_dump_json(indent=1).encode()
    manifests.parse(text)  # what could not be opened again is not written
    with atomic.naming(path):
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".tmp-{os.getpid()}-")
        try:
            with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
                archive.writestr(_entry(manifests.NAME), text)
                for name, file in _files(study):
                    _add(archive, name, file, files.get(name))
            os.replace(made, path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    return path


def _files(study: StudyResults) -> Iterator[tuple[str, Path]]:
    """Yield the study's files by their path inside it, in a fixed order.

    Hidden ones are locks and what an interrupted process left.
    """
    root = study.store.root
    for file in sorted(root.rglob("*")):
        inside = file.relative_to(root)
        if file.is_file() and not any(part.startswith(".") for part in inside.parts):
            if file.is_symlink():
                raise ArchiveError(f"{file} is a link; an archive holds files only")
            yield inside.as_posix(), file


def _add(archive: zipfile.ZipFile, name: str, file: Path, told: File | None) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as source, archive.open(_entry(name), "w") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    if told is None or digest.hexdigest() != told.sha256:
        raise ArchiveError(f"{file} changed while it was read; is the study still running?")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, on every system: the bytes do not depend on it
    entry.external_attr = _PLAIN_FILE << 16
    return entry


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
