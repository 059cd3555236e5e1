"""Writing so that a crash at any moment leaves the old content or the new, never half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Prefix of a folder whose replacement is about to take its name.
_ASIDE = ".aside-"
#: Prefix of what is being written.
_MADE = ".tmp-"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{_MADE}{os.getpid()}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


def write_text(path: Path, content: str) -> None:
    """Replace a text file's content."""
    write_bytes(path, content.encode())


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``path`` when the block ends well.

    Whatever stood at ``path`` before is replaced at that moment, and kept if the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{_MADE}{os.getpid()}-"))
        try:
            yield made
            for entry in made.rglob("*"):
                if entry.is_dir():
                    _sync_directory(entry)
                    continue
                with entry.open("rb") as stream:
                    os.fsync(stream.fileno())
            made.chmod(0o777 & ~_umask())
            _sync_directory(made)
            old = None
            if path.exists():
                # A folder with content cannot be replaced in one step: set the old one aside first.
                old = path.with_name(f"{_ASIDE}{path.name}")
                path.rename(old)
            made.rename(path)
            _sync_directory(path.parent)
            if old is not None:
                shutil.rmtree(old)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def remove_leftovers(parent: Path) -> None:
    """Delete the temporary files of processes that are gone, and put back folders set aside."""
    if not parent.is_dir():
        return
    for entry in parent.glob(f"{_ASIDE}*"):
        intended = entry.with_name(entry.name.removeprefix(_ASIDE))
        if intended.exists():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.rename(intended)
    for entry in parent.glob(f"{_MADE}*"):
        pid = entry.name.split("-")[1]
        if pid.isdigit() and _alive(int(pid)):
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a failure name what was to be written, not the temporary file that nobody asked for."""
    try:
        yield
    except OSError as failure:
        named = failure.filename
        unknown = failure.errno is not None and (named is None or _MADE in Path(named).name)
        if not unknown:
            raise
        raise OSError(failure.errno, failure.strerror, str(path)) from failure


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
