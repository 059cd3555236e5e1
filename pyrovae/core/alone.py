"""Work that one process does and others find done, if they wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone(lock: Path, patience: float) -> Iterator[None]:
    """Hold off other processes that do the same.

    Where no file can be locked, or another does not come to an end, nobody waits: the work is done
    twice.

    Parameters
    ----------
    lock
        A file that stands for the work; its folder is made.
    patience
        Seconds to wait for another process.
    """
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=patience)
    except (OSError, Timeout):
        yield
        return
    try:
        yield
    finally:
        held.release()
