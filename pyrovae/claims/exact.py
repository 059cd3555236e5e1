"""Posteriors that need no chain: draws placed evenly, for the models that can be integrated."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor

#: Draws: a power of 2, for Sobol's points.
_DRAWS = 4096
#: Spread of a run of its own, in units of the scale that matters: law of its logarithm.
_LOG_SCATTER, _LOG_SCATTER_SD = -2.3, 1.0


def share(hits: int, misses: int) -> Tensor:
    """Return draws of a probability from a binomial count, under a uniform prior, ``(4096,)``."""
    levels = (np.arange(_DRAWS) + 0.5) / _DRAWS
    return torch.from_numpy(stats.beta.ppf(levels, 1 + hits, 1 + misses))


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
