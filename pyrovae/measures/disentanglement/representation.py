"""Scores of a run's representation: each with its standard error, and without the dead units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import (
    METRICS,
    is_costly,
    needs_factors,
    only_active,
    standard_error,
)
from pyrovae.measures.disentanglement.asked import keys_of
from pyrovae.measures.disentanglement.labels import for_labels
from pyrovae.measures.scores import STANDARD_ERROR


class Resampling(BaseModel):
    """Random halves of the evaluation points that standard errors are estimated from; 0 for none.

    Each half costs half a score. Metrics that fit learners take seconds, so they have none unless
    asked for: with 20 halves DCI would take longer than the training of a small VAE.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    halves: int = Field(default=20, ge=0, description="for metrics that count")
    costly_halves: int = Field(default=0, ge=0, description="for metrics that fit learners")

    @field_validator("halves", "costly_halves")
    @classmethod
    def _no_lone_half(cls, halves: int) -> int:
        if halves == 1:
            raise ValueError("a single half has no spread: give 0, or 2 and more")
        return halves


def score_representation(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer] | None,
    alone: Mapping[str, NDArray[np.bool_]],
    metrics: Sequence[dict[str, Any]],
    resampling: Resampling,
    seed: int,
    classes: Sequence[int] | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Score codes by several metrics.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k); ``None`` if unknown: metrics that need them are passed over.
    alone
        (d,) each: units that are scored alone as well, by the suffix of that score's key
        (:data:`~pyrovae.measures.scores.USED_ONLY`, say).
    metrics
        ``{"name": …, **estimator}`` each.
    resampling
        How standard errors are estimated.
    seed
        Each metric draws from streams of its own, made of the seed and its name: a score does not
        depend on which others are asked for, and two of one name differ by their parameters alone.
    classes
        Labels of each unit, 0 for a real one; ``None`` where all are real.

    Returns
    -------
    scores
        By key, which is the metric's name or, of several of one name, as
        :func:`~pyrovae.measures.disentanglement.asked.keys_of` says: the score, its single-number
        parts as ``<key>_<part>``, its standard error as ``<key>_se`` and the scores of some units
        alone as ``<key><suffix>``, drawn from the same random numbers.
    estimators
        By key: ``metric``, which was asked for, ``estimator``, ``parts`` and ``halves``; or, for
        the last three, ``refused``, the reason why a metric refuses the arrays (a factor that never
        varies in them, say), and then no score.

    Raises
    ------
    ConfigError
        If two metrics are the same.
    """
    z = codes.astype(np.float64)
    scores: dict[str, float] = {}
    estimators: dict[str, Any] = {}
    parameters_of = [
        METRICS.resolve(m["name"], {k: v for k, v in m.items() if k != "name"}) for m in metrics
    ]
    names = [m["name"] for m in metrics]
    keys = keys_of([{"name": n, **p} for n, p in zip(names, parameters_of, strict=True)])
    for key, name, parameters in zip(keys, names, parameters_of, strict=True):
        if factors is None and needs_factors(name):
            continue
        metric, asked = METRICS[name], {"name": name, **parameters}
        arguments = METRICS.arguments(name, parameters)
        stream = [seed, *name.encode()]
        try:
            given = for_labels(metric, arguments, classes)
            result = metric(z, factors, np.random.default_rng(stream), **given)
        except ConfigError as refusal:
            # A run that took hours to train is not lost to a metric that does not fit its data.
            estimators[key] = {"metric": asked, "refused": str(refusal)}
            continue
        scores[key] = result.score
        scored = {(True,) * z.shape[1]: result.score}
        for suffix, units in alone.items():
            which = tuple(units.tolist())
            if which not in scored:
                kept = only_active(z, units)
                if "classes" in given and classes is not None:
                    left = [k for k, stays in zip(classes, which, strict=True) if stays]
                    alike = {**given, "classes": left or [0]}
                else:
                    alike = given
                again = metric(kept, factors, np.random.default_rng(stream), **alike)
                scored[which] = again.score
            scores[key + suffix] = scored[which]
        scores |= {
            f"{key}_{part}": value
            for part, value in result.parts.items()
            if isinstance(value, float)
        }
        halves = resampling.costly_halves if is_costly(name) else resampling.halves
        if halves and math.isfinite(result.score):
            rng = np.random.default_rng([*stream, 1])
            try:
                error = standard_error(metric, z, factors, rng, n_resamples=halves, **given)
                scores[f"{key}{STANDARD_ERROR}"] = error
            except ConfigError:
                halves = 0  # A half lacks a rare value of some factor: there is no error to tell.
        estimators[key] = {
            "metric": asked,
            "estimator": result.estimator,
            "parts": result.parts,
            "halves": halves,
        }
    return scores, estimators
