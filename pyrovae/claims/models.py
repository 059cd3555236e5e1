"""The Pyro program that a verdict comes from and that has to be integrated numerically."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.analysis.rounded_normal import RoundedNormal
from pyrovae.claims.exact import Axis, Found, integrate

#: Law of the growth exponent, and of the logarithms of the curve's level at the largest size (in
#: units of it), of the sharpness of its bend, and of the spread between seeds (in units).
_GROWTH = (0.3, 0.35)
_LEVEL = (-1.0, 0.9)
_SHARPNESS = (math.log(10.0), 0.8)
_SPREAD = (0.0, 0.75)


def used_units(
    size: Tensor, largest: float, level: Tensor, growth: Tensor, sharp: Tensor
) -> Tensor:
    r"""Return how many of ``size`` latent units are used: a smooth minimum of two laws.

    .. math::
        A(d) = \left(d^{-s} + K(d)^{-s}\right)^{-1/s}, \qquad K(d) = K (d / D)^a.

    For ``a`` = 0 it is min(d, K) with a bend as sharp as ``s``, and saturates; where no size is
    smaller than K(d) it is the power law c·d^a.

    Parameters
    ----------
    size, largest
        d, and the largest D.
    level, growth, sharp
        K, a and s.
    """
    bound = level.log() + growth * (size / largest).log()
    return (-torch.logaddexp(-sharp * size.log(), -sharp * bound) / sharp).exp()


def elasticity(largest: float, level: Tensor, growth: Tensor, sharp: Tensor) -> Tensor:
    """Return d log A / d log d at the largest size: 0 if it has saturated, 1 if all are used."""
    limited = torch.sigmoid(sharp * (level.log() - math.log(largest)))
    return limited + (1 - limited) * growth


def saturation(size: Tensor, count: Tensor) -> tuple[Found, Found]:
    """Return the elasticity of used units at the largest size, and how many are used there.

    The law of a count is that of the comparison of studies
    (:class:`pyrovae.analysis.rounded_normal.RoundedNormal`): seeds may agree better than binomial
    noise allows. Half a unit is the least that rounding lets one see of their spread.

    Parameters
    ----------
    size, count
        Latent units, and used ones, of each run, ``(n,)``.
    """
    # Runs that agree are counted: they cost no more than one.
    kinds, times = torch.stack([size.double(), count.double()], -1).unique(
        dim=0, return_counts=True
    )
    size, count = kinds.T
    largest = float(size.max())

    def program() -> None:
        growth = pyro.sample("growth", dist.Normal(_known(_GROWTH[0]), _GROWTH[1]))
        level = pyro.sample("level", dist.LogNormal(_known(_LEVEL[0]), _LEVEL[1]))
        sharp = pyro.sample("sharpness", dist.LogNormal(_known(_SHARPNESS[0]), _SHARPNESS[1]))
        spread = pyro.sample("spread", dist.LogNormal(_known(_SPREAD[0]), _SPREAD[1]))
        mean = used_units(size, largest, level * largest, growth, sharp)
        with pyro.plate("kinds of runs", len(count)), pyro.poutine.scale(scale=times.double()):
            pyro.sample("count", RoundedNormal(mean, spread, size), obs=count)

    axes = {
        "growth": Axis(-0.7, 1.4, 25),
        "level": Axis(0.01, 8.0, 41, log=True),
        "sharpness": Axis(1.2, 80.0, 6, log=True),
        "spread": Axis(0.12, 12.0, 9, log=True),
    }
    elastic, level = integrate(
        program,
        axes,
        lambda site: (
            elasticity(1.0, site["level"], site["growth"], site["sharpness"]),
            used_units(
                torch.tensor(1.0, dtype=torch.float64),
                1.0,
                site["level"],
                site["growth"],
                site["sharpness"],
            ),
        ),
    )
    return elastic, level.scaled(largest)


def _known(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
