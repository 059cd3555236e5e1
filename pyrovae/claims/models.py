"""Small Pyro models that the verdicts come from."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor


def shares(level: Tensor, total: Tensor, count: Tensor, levels: int) -> None:
    """Counts out of totals, a share for each level, seeds beyond binomial noise.

    Parameters
    ----------
    level
        Level of each observation, ``(n,)``, below ``levels``.
    total, count
        Units, and active units, ``(n,)``.
    """
    with pyro.plate("levels", levels):
        share = pyro.sample("share", dist.Beta(torch.ones(()), 1.0))
    # A concentration of 2 is as broad as no binomial noise at all; seeds usually agree much better.
    concentration = pyro.sample("concentration", dist.LogNormal(4.0, 1.5))
    p = share[level].clamp(1e-4, 1 - 1e-4)
    with pyro.plate("data", len(count)):
        law = dist.BetaBinomial(concentration * p, concentration * (1 - p), total_count=total)
        pyro.sample("count", law, obs=count)


def means(level: Tensor, value: Tensor, levels: int) -> None:
    """Values around a mean for each level, one spread for all; values are standardised."""
    with pyro.plate("levels", levels):
        mean = pyro.sample("mean", dist.Normal(0.0, 3.0))
    spread = pyro.sample("spread", dist.HalfNormal(1.0))
    with pyro.plate("data", len(value)):
        pyro.sample("value", dist.Normal(mean[level], spread), obs=value)


def lines(level: Tensor, x: Tensor, value: Tensor, levels: int) -> None:
    """A straight line and a spread for each level; ``x`` and ``value`` are standardised."""
    with pyro.plate("levels", levels):
        intercept = pyro.sample("intercept", dist.Normal(0.0, 3.0))
        slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
        spread = pyro.sample("spread", dist.HalfNormal(1.0))
    with pyro.plate("data", len(value)):
        centre = intercept[level] + slope[level] * x
        pyro.sample("value", dist.Normal(centre, spread[level]), obs=value)


def related_slopes(level: Tensor, x: Tensor, value: Tensor, levels: int) -> None:
    """Standardised slopes, one for each level, around a common one."""
    common = pyro.sample("common", dist.Normal(0.0, 0.7))
    scatter = pyro.sample("scatter", dist.HalfNormal(0.5))
    with pyro.plate("levels", levels):
        offset = pyro.sample("offset", dist.Normal(0.0, 1.0))
        spread = pyro.sample("spread", dist.HalfNormal(1.0))
    slope = common + scatter * offset
    with pyro.plate("data", len(value)):
        pyro.sample("value", dist.Normal(slope[level] * x, spread[level]), obs=value)


def offsets(level: Tensor, value: Tensor, levels: int, scale: float) -> None:
    """Values off 0 by a constant for each level, with heavy tails: single units may be far off."""
    with pyro.plate("levels", levels):
        offset = pyro.sample("offset", dist.Normal(0.0, 5 * scale))
        spread = pyro.sample("spread", dist.HalfNormal(5 * scale))
    with pyro.plate("data", len(value)):
        pyro.sample("value", dist.StudentT(4.0, offset[level], spread[level]), obs=value)


def measured(value: Tensor, error: Tensor, scale: float) -> None:
    """Values with known errors around a common mean, from which each run differs by its own."""
    mean = pyro.sample("mean", dist.Normal(0.0, 5 * scale))
    scatter = pyro.sample("scatter", dist.HalfNormal(scale))
    with pyro.plate("data", len(value)):
        total = (scatter**2 + error**2).sqrt()
        pyro.sample("value", dist.Normal(mean, total), obs=value)
