"""Processes of a pool end with the process that they compute for, however that ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

_POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from pyrovae.core.companions import end_with_parent

if __name__ == "__main__":
    end_with_parent()  # has no parent of its own to wait for
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_nothing_goes_on_computing_for_a_process_that_was_killed(tmp_path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(_POOL)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 20
        while _alive(worker) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _alive(worker)
