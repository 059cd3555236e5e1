"""Finding a data set's file: the user's directory, then the cache, then a verified download."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import BinaryIO, cast

import platformdirs

from pyrovae.core.errors import DataError
from pyrovae.datasets.sources import SOURCES


def data_dir() -> Path | None:
    """Return the directory that the environment variable ``PYROVAE_DATA`` names, if it is set.

    Raises
    ------
    DataError
        If it names something that is not a directory.
    """
    named = os.environ.get("PYROVAE_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(f"PYROVAE_DATA names '{named}', which is not a directory")
    return folder


def cache_dir() -> Path:
    """Return the user's cache directory, where downloads are kept; it may not exist yet."""
    return platformdirs.user_cache_path("pyrovae")


def locate(dataset: str, *names: str) -> Path:
    """Return the path of a data set's file, downloading it if need be.

    Looks for ``<PYROVAE_DATA>/<dataset>/<name>``, then ``<cache>/<dataset>/<name>``, then fetches
    the first of the names that has an address in :data:`~pyrovae.datasets.sources.SOURCES` into the
    cache. A download is refused unless its checksum is known, and kept only if it matches; it is
    written to a temporary file and renamed, so the cache never holds half a file.

    Parameters
    ----------
    dataset
        Registry name.
    names
        Names under which the file is accepted, the preferred one first.

    Raises
    ------
    DataError
        If the file is nowhere and cannot be had.
    """
    user = data_dir()
    folders = [root / dataset for root in (user, cache_dir()) if root is not None]
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name

    name, remote = next((n, r) for n, r in SOURCES[dataset].files.items() if n in names)
    if remote.checksum is None:
        problem = f"it is not downloaded from {remote.url}, as no checksum of it is known"
    else:
        import pooch  # slow to import, and rarely needed

        try:
            return Path(
                pooch.retrieve(remote.url, remote.checksum, fname=name, path=cache_dir() / dataset)
            )
        except OSError:
            problem = f"it could not be downloaded from {remote.url}"
        except ValueError:
            problem = f"what {remote.url} returns does not have the known checksum"
    raise DataError(
        f"{dataset}: {name} is not in {' or '.join(map(str, folders))}, and {problem}; "
        f"put it into the folder '{dataset}' of the directory that PYROVAE_DATA names"
    )


def locate_beside(path: Path, dataset: str, *names: str) -> Path | None:
    """Return the path of a file that a data set can do without, where ``path`` is; else ``None``.

    Beside a file that was downloaded, it is downloaded too.
    """
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    if path.parent != cache_dir() / dataset:
        return None
    try:
        return locate(dataset, *names)
    except DataError:
        return None


def open_binary(path: Path) -> BinaryIO:
    """Open for reading, decompressing if the name ends in ``.gz``."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
