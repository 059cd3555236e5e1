"""What keeps a worker's memory small: pages that stay shared, and pages that go back."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from typing import Any


def keep_shared() -> None:
    """Leave all objects that there are out of garbage collection, for good.

    A collection writes to each object that it looks at. In a forked process that copies the page,
    so the first collection would copy nearly all that was imported before the fork.
    """
    gc.freeze()


def give_back() -> None:
    """Return memory that was freed to the system, where the C library can do that.

    glibc keeps what was freed for the next that asks, and tracing a step or evaluating a run asks
    for a hundred MiB that training never needs again.
    """
    library = _libc()
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
