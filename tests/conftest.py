"""Shared by all tests."""

from __future__ import annotations

import os

# Before torch is imported anywhere: tests run beside each other on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
# A pool of compilers for each of pytest's processes costs more than it saves.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
# The width of whoever's terminal this is: what commands print in a pipe does not depend on it.
os.environ.pop("COLUMNS", None)

import pyro
import pytest
import torch


@pytest.fixture(autouse=True)
def _isolated() -> None:
    """Each test starts from the same random state and an empty parameter store."""
    torch.set_num_threads(1)
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
