"""What a command takes: CPU seconds of all its processes, time by the clock, memory. Linux only."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Seen:
    """What a command took.

    Attributes
    ----------
    wall, cpu
        Seconds; CPU seconds are those of all its processes.
    memory
        The largest sum of proportional set sizes, MiB: what several share counts once.
    """

    wall: float
    cpu: float
    memory: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Seen:
    """Run a command and all that it leaves behind to the end.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    # Processes whose parent has ended become this one's, which can wait for them: so none is lost.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    before, begun, largest, over = _children(), time.perf_counter(), [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            largest[0] = max(largest[0], sum(map(_pss, _descendants(os.getpid()))))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
        code = process.wait()
        try:
            while True:
                os.wait()
        except ChildProcessError:
            pass
    finally:
        over.set()
        watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Seen(time.perf_counter() - begun, _children() - before, largest[0])


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_descendants(child)]
    except OSError:
        pass  # it has ended meanwhile
    return found


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
