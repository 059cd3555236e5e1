"""Stratified bootstrap and performance profiles (Agarwal et al. 2021, arXiv:2108.13264).

What a reader can check without a model. *Tasks* are the combinations of all factors but one; the
runs of each task are resampled among themselves, so that a task's share never changes.

With five seeds a percentile interval of a mean covers less than it says: the resampled spread is
short by sqrt((n - 1) / n), and its tails are not Student's. It is a check, not the conclusion.
From fewer than three runs in a task, or six in all, there is no interval: a task's one run is drawn
again and again, as if there were no noise, and a few runs have too few different resamples to find
the outer 2.5 % among (of three runs, ten).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: The runs of each task, ``(..., runs)``.
Strata = Sequence[Values]

#: Coverage of intervals.
LEVEL = 0.95
REPETITIONS = 2000
#: Runs that an interval needs in each task, and in all of them together.
ENOUGH_IN_TASK, ENOUGH = 3, 6


def mean(strata: Strata) -> Values:
    """Return the mean over tasks of the mean over runs."""
    return np.mean([values.mean(-1) for values in strata], axis=0)


def interquartile_mean(strata: Strata) -> Values:
    """Return the mean of the middle half of all runs of all tasks (Agarwal et al. 2021, sec. 4.3).

    >>> float(interquartile_mean([np.array([0.0, 1.0]), np.array([2.0, 99.0])]))
    1.5
    """
    together = np.sort(np.concatenate(list(strata), axis=-1), axis=-1)
    cut = together.shape[-1] // 4
    return together[..., cut : together.shape[-1] - cut].mean(-1)


def probability_of_improvement(ours: Strata, theirs: Strata) -> Values:
    """Return P(X > Y) + P(X = Y) / 2 for runs of the same task, averaged over tasks.

    The Mann-Whitney statistic (Agarwal et al. 2021, sec. 4.3).
    """
    shares = []
    for x, y in zip(ours, theirs, strict=True):
        a, b = x[..., :, None], y[..., None, :]
        shares.append(((a > b) + 0.5 * (a == b)).mean((-2, -1)))
    return np.mean(shares, axis=0)


def profile(strata: Strata, thresholds: Values) -> Values:
    """Return the share of runs above each threshold, averaged over tasks: ``(..., thresholds)``.

    The run-score distribution (Agarwal et al. 2021, sec. 4.2).
    """
    return np.mean([(values[..., None] > thresholds).mean(-2) for values in strata], axis=0)


def resample(
    strata: Strata, rng: np.random.Generator, repetitions: int = REPETITIONS
) -> list[Values]:
    """Return strata drawn with replacement, each from itself: ``(repetitions, runs)`` each."""
    return [values[rng.integers(len(values), size=(repetitions, len(values)))] for values in strata]


def interval(
    statistic: Callable[..., Values],
    *samples: Strata,
    rng: np.random.Generator,
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
) -> tuple[Values, Values]:
    """Return the percentile interval of a statistic of one or more samples of strata.

    NaN, in the statistic's shape, if a sample has not :data:`ENOUGH` runs, or one of its strata not
    :data:`ENOUGH_IN_TASK`.
    """
    if no_interval(*samples):
        nothing = np.full_like(statistic(*samples), math.nan, dtype=float)
        return nothing, nothing
    drawn = statistic(*(resample(strata, rng, repetitions) for strata in samples))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def no_interval(*samples: Strata) -> str:
    """Return why samples have no :func:`interval`; empty if they have one."""
    for strata in samples:
        sizes = [values.shape[-1] for values in strata]
        if min(sizes) < ENOUGH_IN_TASK:
            return f"a task of {min(sizes)} runs, fewer than {ENOUGH_IN_TASK}"
        if sum(sizes) < ENOUGH:
            return f"{sum(sizes)} runs, fewer than {ENOUGH}"
    return ""


def strata_of(
    runs: pd.DataFrame, value: str, factor: str, others: Sequence[str]
) -> dict[Any, dict[tuple[Any, ...], Values]]:
    """Split runs by a factor's levels, and each level's by task.

    Returns
    -------
    dict
        Level to task to values; a task is a tuple of the other factors' values.
    """
    kept = runs.dropna(subset=[value])
    found: dict[Any, dict[tuple[Any, ...], Values]] = {}
    for row in kept.to_dict("records"):
        task = tuple(row[name] for name in others)
        found.setdefault(row[factor], {}).setdefault(task, []).append(row[value])  # type: ignore
    return {
        level: {task: np.asarray(values, dtype=float) for task, values in tasks.items()}
        for level, tasks in found.items()
    }


def aggregates(
    runs: pd.DataFrame, value: str, factors: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return mean and interquartile mean of each level of each factor, with intervals.

    Columns: ``factor``, ``level``, ``statistic``, ``value``, ``low``, ``high`` (NaN where runs are
    too few: :func:`interval`), ``tasks``, ``runs``, ``no_interval`` (why, or empty).
    """
    rows = []
    for factor in factors:
        others = [name for name in factors if name != factor]
        for level, tasks in strata_of(runs, value, factor, others).items():
            strata = list(tasks.values())
            for name, statistic in (("mean", mean), ("interquartile mean", interquartile_mean)):
                low, high = interval(statistic, strata, rng=rng)
                rows.append(
                    {
                        "factor": factor,
                        "level": str(level),
                        "statistic": name,
                        "value": float(statistic(strata)),
                        "low": float(low),
                        "high": float(high),
                        "tasks": len(strata),
                        "runs": sum(len(values) for values in strata),
                        "no_interval": no_interval(strata),
                    }
                )
    return pd.DataFrame(rows)


def improvements(
    runs: pd.DataFrame, value: str, factors: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return P(a run of level ``a`` exceeds one of ``b`` on the same task), with intervals."""
    rows = []
    for factor in factors:
        others = [name for name in factors if name != factor]
        found = strata_of(runs, value, factor, others)
        levels = list(found)
        for i, a in enumerate(levels):
            for b in levels[i + 1 :]:
                common = [task for task in found[a] if task in found[b]]
                if not common:
                    continue
                ours, theirs = [found[a][t] for t in common], [found[b][t] for t in common]
                low, high = interval(probability_of_improvement, ours, theirs, rng=rng)
                rows.append(
                    {
                        "factor": factor,
                        "a": str(a),
                        "b": str(b),
                        "value": float(probability_of_improvement(ours, theirs)),
                        "low": float(low),
                        "high": float(high),
                        "tasks": len(common),
                        "no_interval": no_interval(ours, theirs),
                    }
                )
    return pd.DataFrame(rows)


def profiles(
    runs: pd.DataFrame, value: str, factors: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return the performance profile of each level of each factor, with a pointwise band."""
    known = runs[value].dropna()
    thresholds = np.linspace(known.min(), known.max(), 61)
    tables = []
    for factor in factors:
        others = [name for name in factors if name != factor]
        for level, tasks in strata_of(runs, value, factor, others).items():
            strata = list(tasks.values())
            low, high = interval(lambda s: profile(s, thresholds), strata, rng=rng)
            tables.append(
                pd.DataFrame(
                    {
                        "factor": factor,
                        "level": str(level),
                        "threshold": thresholds,
                        "share": profile(strata, thresholds),
                        "low": low,
                        "high": high,
                        "no_interval": no_interval(strata),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
