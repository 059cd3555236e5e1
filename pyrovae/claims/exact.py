"""Posteriors that need no chain: draws placed evenly, for the models that can be integrated.

Every function returns what the data say of a quantity, and beside it what the prior alone says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from pyro import poutine
from scipy import stats
from torch import Tensor

#: Draws: a power of 2, for Sobol's points.
_DRAWS = 4096
#: Of one draw each, as quantiles.
_LEVELS = (np.arange(_DRAWS) + 0.5) / _DRAWS
#: Spread of a run of its own, in units of the scale that matters: law of its logarithm.
_LOG_SCATTER, _LOG_SCATTER_SD = -2.3, 1.0


@dataclass(frozen=True)
class Found:
    """Draws of a quantity, ``(4096,)`` each, in one unit.

    Attributes
    ----------
    draws
        From the posterior.
    prior
        From the prior alone: what would be said without data.
    """

    draws: np.ndarray
    prior: np.ndarray

    def scaled(self, unit: float) -> Found:
        """Return the quantity in another unit."""
        return Found(self.draws * unit, self.prior * unit)


def farther(first: Found, second: Found) -> Found:
    """Return the quantity that is farther from 0, of two whose laws are independent."""
    rng = np.random.default_rng(0)

    def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        b = rng.permutation(b)
        return np.where(np.abs(a) >= np.abs(b), a, b)

    return Found(joined(first.draws, second.draws), joined(first.prior, second.prior))


def share(hits: int, misses: int) -> Found:
    """Return a probability, given a binomial count and a uniform prior."""
    return Found(stats.beta.ppf(_LEVELS, 1 + hits, 1 + misses), _LEVELS)


def common_mean(value: Tensor, error: Tensor, scale: float) -> Found:
    """Return the common mean of values with known errors.

    Each value differs from the mean by its error and by a scatter of its own:

        value_i ~ N(mean, scatter² + error_i²),   mean ~ N(0, 5²),
        log scatter ~ N(-2.3, 1),                  all in units of ``scale``.

    Given the scatter the mean is normal; the scatter is integrated on a grid. NUTS meets a funnel
    here when errors are small and values few. The scatter stays away from 0, since that runs differ
    by nothing at all is not believed.

    Parameters
    ----------
    value, error
        ``(n,)``, n > 0; errors may be 0.
    scale
        A difference that would matter.
    """
    y, e = value.double().numpy() / scale, error.double().numpy() / scale
    grid = np.linspace(_LOG_SCATTER - 7 * _LOG_SCATTER_SD, _LOG_SCATTER + 7 * _LOG_SCATTER_SD, 4001)
    precision = 1 / (np.exp(2 * grid)[:, None] + e**2)  # (grid, n)
    prior = stats.norm.logpdf(grid, _LOG_SCATTER, _LOG_SCATTER_SD)
    return _normal_mean(y, precision, prior, 5.0).scaled(scale)


@dataclass(frozen=True)
class Stratum:
    """What runs that are alike but for their seed say of a difference.

    Attributes
    ----------
    estimate
        Of the difference.
    factor
        Its sampling variance in units of that of one run: 1/n for a mean of n.
    squares, freedom
        Sum of squared residuals of the runs, and their degrees of freedom.
    """

    estimate: float
    factor: float
    squares: float
    freedom: int

    @classmethod
    def of_mean(cls, values: Sequence[float]) -> Stratum:
        """Return the stratum of values whose mean is the estimate."""
        found = np.asarray(values, dtype=float)
        residual = found - found.mean()
        return cls(float(found.mean()), 1 / len(found), float(residual @ residual), len(found) - 1)

    @classmethod
    def of_difference(cls, first: Sequence[float], second: Sequence[float]) -> Stratum:
        """Return the stratum whose estimate is the mean of the first less that of the second."""
        a, b = cls.of_mean(first), cls.of_mean(second)
        return cls(
            a.estimate - b.estimate,
            a.factor + b.factor,
            a.squares + b.squares,
            a.freedom + b.freedom,
        )


def mean_of_strata(strata: Sequence[Stratum], *, scale: float, noise: float) -> Found:
    """Return the mean of a difference over the strata that there are, each counting alike.

        mean_j estimate_j ~ N(mean, σ² mean_j factor_j / J),    squares / σ² ~ χ²(freedom),
        mean ~ N(0, scale²),                                    log σ ~ N(log noise, 1),

    with squares and freedom summed over the J strata. It is these strata that are spoken of: how
    the difference varies between them is not held to be noise, unless no stratum has two runs to
    tell what noise is. Given σ the mean is normal; σ is integrated on a grid.

    Parameters
    ----------
    strata
        At least one.
    scale
        A large difference.
    noise
        What the value of one run typically differs from another's by.
    """
    if len(strata) > 1 and not any(s.freedom for s in strata):
        strata = [Stratum.of_mean([s.estimate for s in strata])]
    y = np.array([np.mean([s.estimate for s in strata])]) / scale
    factor = np.mean([s.factor for s in strata]) / len(strata)
    squares = sum(s.squares for s in strata) / scale**2
    freedom = sum(s.freedom for s in strata)
    sigma = np.linspace(-9, 9, 721) + math.log(noise / scale)
    precision = 1 / (np.exp(2 * sigma)[:, None] * factor)
    prior = stats.norm.logpdf(sigma, math.log(noise / scale))
    likelihood = -freedom * sigma - squares / 2 * np.exp(-2 * sigma)
    return _normal_mean(y, precision, prior + likelihood, 1.0).scaled(scale)


def _normal_mean(y: np.ndarray, precision: np.ndarray, log: np.ndarray, sd: float) -> Found:
    """Return a mean, given values ``(n,)`` of known precision at each point of a grid.

    Parameters
    ----------
    precision
        Of the values, ``(grid, n)``.
    log
        Log density at each point but for these values, ``(grid,)``.
    sd
        Of the mean's prior, around 0.
    """
    variance = 1 / (precision.sum(1) + 1 / sd**2)
    mean = variance * (precision @ y)
    # log p(y | grid): the normal integral over the mean, up to a constant.
    log = (
        log
        + 0.5 * np.log(precision).sum(1)
        + 0.5 * np.log(variance)
        - 0.5 * (precision @ y**2 - mean**2 / variance)
    )
    return Found(_mixed(log, mean, np.sqrt(variance)), stats.norm.ppf(_LEVELS, 0, sd))


def _mixed(log: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return draws of a mixture of normal laws, given the logarithms of their weights."""
    below = np.cumsum(np.exp(log - log.max()))
    first, second = stats.qmc.Sobol(2, seed=0).random(_DRAWS).T
    at = np.searchsorted(below / below[-1], first).clip(max=len(log) - 1)
    return np.asarray(mean[at] + sd[at] * stats.norm.ppf(second))


def common_slope(x: Tensor, values: Tensor, *, lost: int = 0) -> Found:
    """Return the slope around which the slopes of several quantities lie.

    For quantity k and run i

        value_ki ~ N(slope_k x_i, spread_k²),     spread_k ~ HalfNormal(1),
        slope_k ~ N(common, scatter²),            common ~ N(0, 0.7²),
        log scatter ~ N(-1.6, 0.7²).

    The spreads are integrated on grids, quantity by quantity, then the slopes, then the scatter.

    Parameters
    ----------
    x
        Standardised, ``(n,)``.
    values
        Standardised, ``(quantities, n)``, without NaN.
    lost
        Degrees of freedom that were spent on means that have been taken off.
    """
    x, values = x.double(), values.double()
    slope = torch.linspace(-3, 3, 601, dtype=torch.float64)
    spread = torch.linspace(-5, 1.5, 131, dtype=torch.float64).exp()
    n = len(x) - lost
    # d log spread: the grid is even in the logarithm.
    prior = -0.5 * spread**2 + spread.log()
    scatter = torch.linspace(-1.6 - 3 * 0.7, -1.6 + 3 * 0.7, 31, dtype=torch.float64)
    log = -0.5 * (slope / 0.7) ** 2 - 0.5 * ((scatter[:, None] + 1.6) / 0.7) ** 2
    # (scatter, common, slope): the density of slopes around a common one.
    around = -0.5 * ((slope[:, None] - slope) / scatter.exp()[:, None, None]) ** 2
    around = torch.softmax(around, -1)
    for y in values:
        squares = (y * y).sum() - 2 * slope * (x * y).sum() + slope**2 * (x * x).sum()
        likelihood = torch.logsumexp(
            prior - n * spread.log() - squares[:, None] / (2 * spread**2), -1
        )
        top = likelihood.max()
        log = log + (around @ (likelihood - top).exp()).clamp(min=1e-300).log()
    density = (log - log.max()).exp().sum(0)
    below = (density.cumsum(0) - density / 2) / density.sum()
    return Found(np.interp(_LEVELS, below.numpy(), slope.numpy()), stats.norm.ppf(_LEVELS, 0, 0.7))


def partial_slope(x: Tensor, value: Tensor, *, lost: int = 0) -> Found:
    """Return the slope on the first of several quantities at equal values of the others.

        value_i ~ N(slopes · x_i, spread²),   slopes_k ~ N(0, 1),   spread ~ HalfNormal(1).

    Given the spread the slopes are normal; the spread is integrated on a grid.

    Parameters
    ----------
    x
        Standardised, ``(n, quantities)``.
    value
        Standardised, ``(n,)``.
    lost
        Degrees of freedom that were spent on means that have been taken off.
    """
    design, y = x.double().numpy(), value.double().numpy()
    spread = np.exp(np.linspace(-6, 1.5, 301))
    prior = stats.halfnorm.logpdf(spread) + np.log(spread)
    gram, along = design.T @ design, design.T @ y
    precision = gram / spread[:, None, None] ** 2 + np.eye(len(gram))
    covariance = np.linalg.inv(precision)
    mean = (covariance @ along) / spread[:, None] ** 2
    log = (
        prior
        - (len(y) - lost) * np.log(spread)
        - 0.5 * np.linalg.slogdet(precision)[1]
        - 0.5 * (y @ y - mean @ along) / spread**2
    )
    return Found(_mixed(log, mean[:, 0], np.sqrt(covariance[:, 0, 0])), stats.norm.ppf(_LEVELS))


@dataclass(frozen=True)
class Axis:
    """Values of a site that are looked at: ``points`` of them, from ``low`` to ``high``.

    ``log`` says that they are even in the logarithm.
    """

    low: float
    high: float
    points: int
    log: bool = False

    def even(self) -> Tensor:
        """Return the values, or their logarithms where those are even."""
        ends = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        return torch.linspace(*ends, self.points, dtype=torch.float64)

    def around(self, weight: Tensor) -> Axis:
        """Return the axis about the points that have weight, with one more at each end."""
        values = self.even().exp() if self.log else self.even()
        held = weight.nonzero().squeeze(1)
        first, last = max(int(held[0]) - 1, 0), min(int(held[-1]) + 1, self.points - 1)
        return replace(self, low=float(values[first]), high=float(values[last]))


#: Points of a grid whose density is below this share of the highest count for nothing.
_NOTHING = 1e-4
#: How often the grid is laid anew, over the part that has weight.
_REFINED = 2
#: Numbers that are computed at once.
_CHUNK = 500_000


def integrate(
    program: Callable[[], None],
    axes: Mapping[str, Axis],
    quantities: Callable[[Mapping[str, Tensor]], Sequence[Tensor]],
) -> list[Found]:
    """Return functions of a Pyro program's few latent sites, integrated on a grid.

    The grid is laid over all that the axes hold, and then over the part that has weight.

    Parameters
    ----------
    program
        Without arguments. Its latent sites are scalars, those of the axes; what it observes is in
        plates whose last dimension is -1.
    axes
        By site.
    quantities
        From the sites, ``(points,)`` each, to the quantities that are asked for.
    """
    prior, posterior, sites = _on_grid(program, axes)
    from_prior = [_quantiles(q, prior) for q in quantities(sites)]
    for _ in range(_REFINED):
        shape = [axis.points for axis in axes.values()]
        held = (posterior >= posterior.max() * _NOTHING).double().reshape(shape)
        axes = {name: axis.around(_along(held, i)) for i, (name, axis) in enumerate(axes.items())}
        _, posterior, sites = _on_grid(program, axes)
    found = [_quantiles(q, posterior) for q in quantities(sites)]
    return [Found(a, b) for a, b in zip(found, from_prior, strict=True)]


def _along(values: Tensor, axis: int) -> Tensor:
    """Return the sums over all axes but one."""
    others = [i for i in range(values.dim()) if i != axis]
    return values.sum(others) if others else values


def _on_grid(
    program: Callable[[], None], axes: Mapping[str, Axis]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the weight of each point by the prior and the posterior, and the sites there."""
    values = [axis.even() for axis in axes.values()]
    grid = torch.stack([part.reshape(-1) for part in torch.meshgrid(*values, indexing="ij")])
    # Each point stands somewhere in its cell: on a lattice, quantities would have but few values.
    steps = torch.stack([(v[-1] - v[0]) / (len(v) - 1) for v in values])
    within = np.random.default_rng(0).random(grid.shape) - 0.5
    grid = grid + torch.from_numpy(within) * steps[:, None]
    log = torch.tensor([axis.log for axis in axes.values()])[:, None]
    # A cell that is even in the logarithm is the wider, the higher it is.
    width = torch.where(log, grid, torch.zeros_like(grid)).sum(0)
    sites = dict(zip(axes, torch.where(log, grid.exp(), grid), strict=True))
    parts = [_log_density(program, {k: v[:1] for k, v in sites.items()})[2]]
    size = max(1, _CHUNK // parts[0])
    found = [
        _log_density(program, {k: v[i : i + size] for k, v in sites.items()})[:2]
        for i in range(0, len(width), size)
    ]
    prior, likelihood = (torch.cat(part) for part in zip(*found, strict=True))
    prior = prior + width
    return torch.softmax(prior, 0), torch.softmax(prior + likelihood, 0), sites


def _log_density(
    program: Callable[[], None], sites: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, int]:
    """Return log prior and log likelihood at points ``(g,)``, and how many data there are."""
    given = {name: value[:, None] for name, value in sites.items()}
    with torch.no_grad(), poutine.block():
        trace = poutine.trace(poutine.condition(program, data=given)).get_trace()
        trace.compute_log_prob()
    logs = {
        name: site["log_prob"]
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site["infer"].get("_do_not_score")
    }
    points = len(next(iter(sites.values())))
    prior = torch.stack([logs[name].expand(points, -1)[:, 0] for name in sites]).sum(0)
    data = [
        log.expand(points, log.shape[-1])
        for name, log in logs.items()
        if name not in sites and log.dim()
    ]
    return prior, torch.stack([log.sum(-1) for log in data]).sum(0), sum(d.shape[-1] for d in data)


def _quantiles(values: Tensor, weight: Tensor) -> np.ndarray:
    """Return draws of values ``(n,)`` that have weights."""
    known, at = values.unique(return_inverse=True)
    mass = torch.zeros_like(known).index_add_(0, at, weight)
    below = (mass.cumsum(0) - mass / 2) / mass.sum()
    return np.interp(_LEVELS, below.numpy(), known.numpy())
