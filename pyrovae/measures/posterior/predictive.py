"""Posterior predictive checks: do replicated images look like the observed one?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pyrovae.core.measuring import only_measures
from pyrovae.measures.posterior.annealing import simulate
from pyrovae.models.contract import LatentModel

Floats = NDArray[np.floating]


def _mean(x: Tensor) -> Tensor:
    return x.flatten(-3).mean(-1)


def _contrast(x: Tensor) -> Tensor:
    return x.flatten(-3).std(-1)


def _roughness(x: Tensor) -> Tensor:
    down, across = x.diff(dim=-2).abs(), x.diff(dim=-1).abs()
    return down.flatten(-3).mean(-1) + across.flatten(-3).mean(-1)


#: What is compared: images ``(*b, channels, height, width)`` to numbers ``b``.
STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": _mean,
    "contrast": _contrast,
    "roughness": _roughness,
}


@only_measures
def replicated_statistics(
    vae: LatentModel, z: Tensor, generator: Generator, context: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the statistics of replicated images, ``(draws, n)``, for codes ``(draws, n, d)``."""
    rows = [simulate(vae, codes, generator, context) for codes in z.split(10)]
    return {name: torch.cat([f(row) for row in rows]) for name, f in STATISTICS.items()}


def p_values(replicated: Floats, observed: Floats) -> Floats:
    """Return P(T(replicate) <= T(observed)), ``(n,)``; ties count half."""
    below, equal = replicated < observed, replicated == observed
    return (below + 0.5 * equal).mean(0)
