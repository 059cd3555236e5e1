"""An archive from elsewhere as a study of one's own.

The archive is not trusted. Nothing it says decides where a file goes before it has been checked;
entries that are not plain files are refused, so that no link or device can be made; sizes are held
to what the manifest says, and that to what the archive's own size and the disk allow.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from pyrovae.core import atomic
from pyrovae.core.errors import PyrovaeError
from pyrovae.study.sharing import manifest as manifests
from pyrovae.study.sharing.manifest import ArchiveError, File, Manifest
from pyrovae.study.store.results import StudyResults, load_study

_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Limits:
    """What an archive may be at most.

    Parameters
    ----------
    files
        Number of files.
    manifest
        Bytes of the manifest.
    small
        Bytes of content that are allowed whatever the archive's size.
    ratio
        Beyond that, bytes of content for each byte of the archive. Results are numbers and
        pictures: they compress by a factor of 2 to 10.
    """

    files: int = 1_000_000
    manifest: int = 200_000_000
    small: int = 100_000_000
    ratio: int = 50


def import_study(archive: Path, results: Path, *, limits: Limits | None = None) -> StudyResults:
    """Verify an archive and put its study into ``results/<name>``.

    Parameters
    ----------
    archive
        What :func:`pyrovae.study.sharing.export_study` wrote.
    results
        The folder that holds all studies. The study appears complete, or not at all.
    limits
        Defaults for honest studies.

    Raises
    ------
    ArchiveError
        If the archive is damaged, is no study's, differs from its checksums, or holds anything but
        plain files inside the study's folder; or if a study of that name is there already.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return _import(opened, archive, results, limits or Limits())
    except ArchiveError as refused:
        raise ArchiveError(f"{archive}: {refused}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as damaged:
        if isinstance(damaged, OSError) and damaged.filename not in (None, str(archive), archive):
            raise  # of what was to be written
        raise ArchiveError(f"{archive}: cannot be read: {damaged}") from None


def _import(opened: zipfile.ZipFile, archive: Path, results: Path, limits: Limits) -> StudyResults:
    entries = _entries(opened, limits)
    manifest = _manifest(opened, entries, limits)
    target = results / manifest.study
    if target.exists():
        raise ArchiveError(
            f"there is a study '{manifest.study}' in {results} already; "
            "remove it, or choose another folder with --results"
        )
    _check_size(manifest, archive, results, limits)
    told, held = set(manifest.files), set(entries) - {manifests.NAME}
    if told != held:
        odd = min(told ^ held)
        raise ArchiveError(f"{odd!r} is {'missing' if odd in told else 'not in the manifest'}")
    with atomic.folder(target) as made:
        for name, file in manifest.files.items():
            _extract(opened, entries[name], made / name, file)
        _check_opens(made, manifest)
    return load_study(target)


def _entries(opened: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's entries by name; all are plain files with plain paths."""
    listed = opened.infolist()
    if len(listed) > limits.files:
        raise ArchiveError(f"holds {len(listed)} files, more than {limits.files}")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in listed:
        # `filename` is what zipfile made of it: `orig_filename` may go on after a zero byte.
        manifests.check_path(entry.orig_filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or kind not in (0, stat.S_IFREG):
            raise ArchiveError(f"{entry.filename!r} is not a plain file")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise ArchiveError(f"{entry.filename!r} is encrypted or packed in an unknown way")
        if entry.filename in entries:
            raise ArchiveError(f"{entry.filename!r} is there twice")
        entries[entry.filename] = entry
    return entries


def _manifest(
    opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], limits: Limits
) -> Manifest:
    entry = entries.get(manifests.NAME)
    if entry is None:
        raise ArchiveError(f"holds no {manifests.NAME}, so it is no study")
    if entry.file_size > limits.manifest:
        raise ArchiveError(f"{manifests.NAME} is too large")
    with opened.open(entry) as stream:
        text = stream.read(limits.manifest + 1)
    if len(text) > limits.manifest:
        raise ArchiveError(f"{manifests.NAME} is too large")
    return manifests.parse(text)


def _check_size(manifest: Manifest, archive: Path, results: Path, limits: Limits) -> None:
    allowed = max(limits.small, limits.ratio * archive.stat().st_size)
    if manifest.size > allowed:
        raise ArchiveError(
            f"would grow to {manifest.size:,} bytes, more than {limits.ratio} times its size"
        )
    place = results
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if manifest.size > free:
        raise ArchiveError(f"needs {manifest.size:,} bytes, and {free:,} are free")


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, told: File) -> None:
    """Write one file, at most as long as told, and compare its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with opened.open(entry) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > told.size:
                raise ArchiveError(f"{entry.filename!r} is longer than the manifest says")
            digest.update(chunk)
            target.write(chunk)
    if size != told.size or digest.hexdigest() != told.sha256:
        raise ArchiveError(f"{entry.filename!r} does not match its checksum")


def _check_opens(root: Path, manifest: Manifest) -> None:
    """Refuse what has the right checksums and is no study all the same."""
    try:
        name = load_study(root).name
    except (PyrovaeError, OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
        told = f"{type(failure).__name__}: {failure}"
        raise ArchiveError(f"its results cannot be read: {told}") from None
    if name != manifest.study:
        raise ArchiveError(f"holds the study {name!r} under the name {manifest.study!r}")
