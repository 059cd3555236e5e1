"""What a machine offers, and how many runs should train together on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pyrovae.core.errors import ConfigError
from pyrovae.study.execute.cores import available_cores
from pyrovae.study.plan.planning import PlannedRun

#: On a CPU one model keeps a core busy: see benchmarks/README.md.
CPU_ENSEMBLE = 1
#: On a GPU; a guess that nobody has measured yet.
_LARGEST = 64
#: Free memory of a GPU that this machine cannot ask: one of a cluster.
_UNKNOWN_GPU = 8 * 2**30
#: Copies of the parameters in a step: themselves, two moments, the gradient, and the next three.
_COPIES = 7


def devices(kind: str) -> list[str]:
    """Return the places that workers are dealt out to: one a core, or one a GPU.

    Raises
    ------
    ConfigError
        For a GPU where torch finds none.
    """
    if kind == "cpu":
        return ["cpu"] * available_cores()
    if not torch.cuda.is_available():
        raise ConfigError("torch finds no GPU on this machine", "--device cuda")
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def ensemble_size(runs: Sequence[PlannedRun], kind: str, asked: int | None) -> int:
    """Return how many runs of one program train together at most.

    Parameters
    ----------
    runs
        Those to be trained.
    kind
        ``cpu`` or ``cuda``.
    asked
        The user's wish, which decides.
    """
    if asked is not None:
        return asked
    if kind == "cpu":
        return CPU_ENSEMBLE
    free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else _UNKNOWN_GPU
    largest = max(run.parameters for run in runs)
    # Half of the memory is left to activations and the data.
    return max(1, min(_LARGEST, int(free / 2 / (4 * _COPIES * largest))))
