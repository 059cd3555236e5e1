"""One process at a time runs a study; who comes second is told who was first."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pyrovae.core import atomic
from pyrovae.core.errors import PyrovaeError


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold a study's lock; the system gives it back when the process ends, however it ends.

    Raises
    ------
    PyrovaeError
        If another process holds it, with its number, host and how long it has.
    """
    root.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(root / ".lock"), root / ".lock-owner.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise PyrovaeError(f"{root}: {_owner(note)} is running this study") from None
    with lock:
        # The age is taken from a clock that nobody sets; it counts from the host's start.
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.monotonic()}
        atomic.write_text(note, json.dumps(owner))
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def _owner(note: Path) -> str:
    try:
        owner = json.loads(note.read_text())
        told = f"process {owner['pid']} on {owner['host']}"
        if owner["host"] != socket.gethostname():
            return told
        return f"{told}, started {max(0.0, time.monotonic() - owner['since']):.0f} s ago,"
    except (OSError, ValueError, KeyError):
        return "another process"  # it has not written its note yet
