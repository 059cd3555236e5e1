"""Small Pyro models that the verdicts come from, each with a point in the bulk of its posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.analysis.rounded_normal import RoundedNormal


@dataclass(frozen=True)
class Posed:
    """A model of data, ready to be sampled.

    Attributes
    ----------
    program
        Pyro program without arguments.
    guess
        A value of each site, where NUTS measures the posterior's width before it begins.
    """

    program: Callable[[], None]
    guess: dict[str, Tensor]


def shares(level: Tensor, total: Tensor, count: Tensor, levels: int) -> Posed:
    """Counts out of totals, a share for each level, one spread between seeds for all.

    The law of a count is that of the comparison of studies
    (:class:`pyrovae.analysis.rounded_normal.RoundedNormal`): seeds may agree better than binomial
    noise allows.

    Parameters
    ----------
    level
        Level of each observation, ``(n,)``, below ``levels``.
    total, count
        Units, and active units, ``(n,)``.
    """

    def program() -> None:
        with pyro.plate("levels", levels):
            share = pyro.sample("share", dist.Beta(torch.ones((), dtype=count.dtype), 1.0))
        # In units. Half a unit is the least that rounding lets one see.
        spread = pyro.sample("spread", dist.LogNormal(torch.zeros((), dtype=count.dtype), 0.75))
        with pyro.plate("data", len(count)):
            law = RoundedNormal(share[level] * total, spread.expand(len(count)), total)
            pyro.sample("count", law, obs=count)

    share = _by_level(count / total, level, levels).clamp(0.02, 0.98)
    return Posed(program, {"share": share, "spread": _known(0.8)})


def means(level: Tensor, value: Tensor, levels: int) -> Posed:
    """Values around a mean for each level, one spread for all; values are standardised."""

    def program() -> None:
        with pyro.plate("levels", levels):
            mean = pyro.sample("mean", dist.Normal(_known(0.0), 3.0))
        spread = pyro.sample("spread", dist.HalfNormal(_known(1.0)))
        with pyro.plate("data", len(value)):
            pyro.sample("value", dist.Normal(mean[level], spread), obs=value)

    mean = _by_level(value, level, levels)
    return Posed(program, {"mean": mean, "spread": _size(value - mean[level])})


def lines(level: Tensor, x: Tensor, value: Tensor, levels: int) -> Posed:
    """A straight line and a spread for each level; ``x`` and ``value`` are standardised."""

    def program() -> None:
        with pyro.plate("levels", levels):
            intercept = pyro.sample("intercept", dist.Normal(_known(0.0), 3.0))
            slope = pyro.sample("slope", dist.Normal(_known(0.0), 2.0))
            spread = pyro.sample("spread", dist.HalfNormal(_known(1.0)))
        with pyro.plate("data", len(value)):
            centre = intercept[level] + slope[level] * x
            pyro.sample("value", dist.Normal(centre, spread[level]), obs=value)

    fits = [_least_squares(x[level == k], value[level == k]) for k in range(levels)]
    intercept, slope, spread = (torch.stack(part) for part in zip(*fits, strict=True))
    return Posed(program, {"intercept": intercept, "slope": slope, "spread": spread})


def offsets(level: Tensor, value: Tensor, levels: int, scale: float) -> Posed:
    """Values off 0 by a constant for each level, with heavy tails: single units may be far off."""

    def program() -> None:
        with pyro.plate("levels", levels):
            offset = pyro.sample("offset", dist.Normal(_known(0.0), 5 * scale))
            spread = pyro.sample("spread", dist.HalfNormal(_known(5 * scale)))
        with pyro.plate("data", len(value)):
            law = dist.StudentT(_known(4.0), offset[level], spread[level])
            pyro.sample("value", law, obs=value)

    parts = [value[level == k] for k in range(levels)]
    offset = torch.stack([part.median() for part in parts])
    # 1.5 × the median deviation: the scale of a normal law.
    spread = torch.stack([1.5 * (part - part.median()).abs().median() for part in parts])
    return Posed(program, {"offset": offset, "spread": spread.clamp(min=1e-4)})


def _known(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _by_level(value: Tensor, level: Tensor, levels: int) -> Tensor:
    return torch.stack([value[level == k].mean() for k in range(levels)])


def _size(residual: Tensor) -> Tensor:
    return residual.square().mean().sqrt().clamp(1e-4, 2.0)


def _least_squares(x: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return intercept, slope, and the residuals' size."""
    centred = x - x.mean()
    slope = (centred * value).sum() / centred.square().sum().clamp(min=1e-9)
    intercept = value.mean() - slope * x.mean()
    return intercept, slope, _size(value - intercept - slope * x)
