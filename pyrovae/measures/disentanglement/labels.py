"""What metrics make of codes that are labels: names, whose order and distances mean nothing.

Metrics that count take each label for a bin of its own. Trees split them. Others read codes as
numbers, which of more than two labels says nothing, and are refused by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrovae.core.errors import ConfigError

#: Learners that do not need codes to be numbers.
_TREES = frozenset({"hist_gradient_boosting", "gradient_boosting", "random_forest"})


def for_labels(
    metric: Callable[..., Any], arguments: Mapping[str, Any], classes: Sequence[int] | None
) -> dict[str, Any]:
    """Return a metric's arguments as they have to be for codes with labels.

    A metric that has a positional parameter ``classes`` is told; where there are bins, they are as
    many as labels at least.

    Parameters
    ----------
    metric, arguments
        A function of codes and factors, and the user's parameters.
    classes
        Labels of each unit, 0 for a real one; ``None`` where all are real.

    Raises
    ------
    ConfigError
        If the metric reads codes as numbers, and some unit has more than two labels.
    """
    most = max(classes, default=0) if classes is not None else 0
    if most <= 2:  # 0 and 1 are numbers too
        return dict(arguments)
    if "classes" in inspect.signature(metric).parameters:
        return {**arguments, "classes": tuple(classes or ())}
    if arguments.get("binning") == "quantile":
        raise ConfigError("bins of equal counts may put two labels into one: 'binning: uniform'")
    if "n_bins" in arguments:
        return {**arguments, "n_bins": max(arguments["n_bins"], most)}
    if arguments.get("learner") in _TREES:
        return dict(arguments)
    raise ConfigError("reads codes as numbers, and some units of this code are labels")


def indicators(
    codes: NDArray[np.float64], classes: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return codes with each label as K columns, over the square root of 2, and whose these are.

    The variances of a unit's columns add up to Gini's variance, half the chance that two labels
    differ (Kim & Mnih 2018 take it for discrete codes).

    Parameters
    ----------
    codes
        ``(n, d)``.
    classes
        Labels of each unit, 0 for a real one.

    Returns
    -------
    columns
        ``(n, w)``.
    of
        Unit of each column, ``(w,)``.
    """
    columns = [
        code[:, None] if k == 0 else (code[:, None] == np.arange(k)) / 2**0.5
        for code, k in zip(codes.T, classes, strict=True)
    ]
    of = np.repeat(np.arange(len(columns)), [part.shape[1] for part in columns])
    return np.concatenate(columns, axis=1), of
