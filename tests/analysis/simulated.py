"""Runs whose cell means are known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

PRIORS, POSTERIORS = ("normal", "laplace", "mixture"), ("mean_field", "full_rank")


def simulate(
    rng: np.random.Generator,
    kind: str,
    *,
    seeds: int = 5,
    effect: float = 1.0,
    priors: tuple[str, ...] = PRIORS,
    posteriors: tuple[str, ...] = POSTERIORS,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw effects from a normal law, and runs from the law of a kind of metric.

    Returns the runs with the column ``score``, and the mean of each cell, in the order of cells.
    """
    cells = list(itertools.product(priors, posteriors))
    first = dict(zip(priors, rng.normal(0, effect, len(priors)), strict=True))
    second = dict(zip(posteriors, rng.normal(0, effect, len(posteriors)), strict=True))
    eta = np.array([first[a] + second[b] + rng.normal(0, 0.3 * effect) for a, b in cells])
    rows, means = [], []
    for (prior, posterior), value in zip(cells, eta, strict=True):
        if kind == "real":
            mean = -200 + 5 * value
            drawn = rng.normal(mean, 0.8, seeds)
        elif kind == "positive":
            mean = 0.02 * np.exp(value)
            drawn = mean * np.exp(rng.normal(0, 0.3, seeds))
        elif kind == "proportion":
            mean = 1 / (1 + np.exp(1 - 0.5 * value))
            drawn = rng.beta(mean * 200, (1 - mean) * 200, seeds)
        else:
            location = 32 / (1 + np.exp(0.5 - 0.4 * value))
            mean = location  # Far from both ends: rounding does not move the mean.
            drawn = np.clip(np.round(rng.normal(location, 0.9, seeds)), 0, 32)
        means.append(mean)
        rows += [
            {"prior": prior, "posterior": posterior, "latent_dim": 32, "seed": s, "score": y}
            for s, y in enumerate(drawn)
        ]
    return pd.DataFrame(rows), np.array(means)
