"""Processes that compute for another one, and have nothing to do once it is gone."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Make this process end when the one that started it does, even if that was killed.

    A pool's processes otherwise finish the task in hand first, which may take minutes.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
