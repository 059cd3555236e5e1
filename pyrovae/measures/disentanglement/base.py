"""What a metric is: a pure function of arrays, registered by name, that returns a `MetricResult`.

::

    @METRICS.register("mig", source="Chen et al. 2018, eq. 6; arXiv:1802.04942")
    def mig(codes, factors, rng=None, *, n_bins=20): ...

``codes`` is (n, d), ``factors`` (n, k): row i of both is point i. ``rng`` is whatever
:func:`numpy.random.default_rng` takes. The keyword-only parameters are the estimator's; their
defaults are those of Locatello et al. 2019 (arXiv:1811.12359 and the authors'
``disentanglement_lib``), and they are stored with the score. Direct calls trust them;
``METRICS.create`` validates them first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyrovae.core.registry import Registry

Codes = NDArray[np.float64]
Factors = NDArray[np.int64]
RNGLike = np.random.Generator | int | None
Metric = Callable[..., "MetricResult"]
M = TypeVar("M", bound=Metric)

METRICS: Registry[Metric] = Registry("metric")


@dataclass(frozen=True)
class MetricResult:
    """A score with what it was made of and how it was estimated.

    Parameters
    ----------
    score
        The number that the metric's name stands for.
    parts
        Its components: floats, or (nested) lists of floats; per-factor lists have length k,
        per-code lists length d, matrices shape (d, k).
    estimator
        Every parameter of the estimator, and the number of points it saw. Together with the
        arrays and the generator it reproduces the score.
    """

    score: float
    parts: dict[str, float | list[Any]] = field(default_factory=dict)
    estimator: dict[str, Any] = field(default_factory=dict)


def unsupervised(metric: M) -> M:
    """Declare that a metric reads the codes alone: callers may pass ``factors=None``."""
    setattr(metric, "min_factors", 0)  # noqa: B010 (a function has no such attribute)
    return metric


def compares_factors(metric: M) -> M:
    """Declare that a metric asks which factor a code belongs to: it needs two factors or more."""
    setattr(metric, "min_factors", 2)  # noqa: B010
    return metric


def costly(metric: M) -> M:
    """Declare that a metric fits learners: repeating it, as standard errors do, takes long."""
    setattr(metric, "is_costly", True)  # noqa: B010
    return metric


def is_costly(name: str) -> bool:
    """Tell whether the metric of this name fits learners, for seconds rather than milliseconds.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return getattr(METRICS[name], "is_costly", False)


def min_factors(name: str) -> int:
    """Return how many factors the metric of this name needs; 0 if it reads the codes alone.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return getattr(METRICS[name], "min_factors", 1)


def needs_factors(name: str) -> bool:
    """Tell whether the metric of this name compares codes with ground-truth factors.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return min_factors(name) > 0
