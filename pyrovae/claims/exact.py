"""Posteriors that need no chain: draws placed evenly, for the models that can be integrated."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor

#: Draws: a power of 2, for Sobol's points.
_DRAWS = 4096
#: Of one draw each, as quantiles.
_LEVELS = (np.arange(_DRAWS) + 0.5) / _DRAWS
#: Spread of a run of its own, in units of the scale that matters: law of its logarithm.
_LOG_SCATTER, _LOG_SCATTER_SD = -2.3, 1.0


def share(hits: int, misses: int) -> Tensor:
    """Return draws of a probability from a binomial count, under a uniform prior, ``(4096,)``."""
    return torch.from_numpy(stats.beta.ppf(_LEVELS, 1 + hits, 1 + misses))


def common_mean(value: Tensor, error: Tensor, scale: float) -> Tensor:
    """Return draws of the common mean of values with known errors.

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

    Returns
    -------
    Tensor
        ``(4096,)``, in the unit of ``value``.
    """
    y, e = value.double().numpy() / scale, error.double().numpy() / scale
    grid = np.linspace(_LOG_SCATTER - 7 * _LOG_SCATTER_SD, _LOG_SCATTER + 7 * _LOG_SCATTER_SD, 4001)
    precision = 1 / (np.exp(2 * grid)[:, None] + e**2)  # (grid, n)
    variance = 1 / (precision.sum(1) + 1 / 25)
    mean = variance * (precision @ y)
    # log p(y | scatter): the normal integral over the mean, up to a constant.
    log_weight = (
        stats.norm.logpdf(grid, _LOG_SCATTER, _LOG_SCATTER_SD)
        + 0.5 * np.log(precision).sum(1)
        + 0.5 * np.log(variance)
        - 0.5 * (precision @ y**2 - mean**2 / variance)
    )
    weight = np.exp(log_weight - log_weight.max())
    below = np.cumsum(weight) / weight.sum()
    first, second = stats.qmc.Sobol(2, seed=0).random(_DRAWS).T
    at = np.searchsorted(below, first).clip(max=len(grid) - 1)
    draws = mean[at] + np.sqrt(variance[at]) * stats.norm.ppf(second)
    return torch.from_numpy(draws * scale)


def common_slope(x: Tensor, values: Tensor) -> Tensor:
    """Return draws of the slope around which the slopes of several quantities lie, ``(4096,)``.

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
    """
    x, values = x.double(), values.double()
    slope = torch.linspace(-3, 3, 601, dtype=torch.float64)
    spread = torch.linspace(-5, 1.5, 131, dtype=torch.float64).exp()
    n = len(x)
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
    return torch.from_numpy(np.interp(_LEVELS, below.numpy(), slope.numpy()))
