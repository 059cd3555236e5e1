"""Why a unit is collapsed: the model does not use it, or the inference network does not find it.

The guide calls a unit collapsed if its mean hardly varies over the data. If the same holds for the
true posterior, the model has no use for the unit: prior or decoder did it. If the true posterior's
mean does vary, or differs from the prior in another way, the information is there and the guide
misses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrovae.measures.collapse import ACTIVE_VARIANCE

#: E_x KL(p(z_u|x) || p(z_u)) above which a unit is used although its mean does not vary, nats.
USED_KL = 0.05
#: Bins of equal prior probability that the KL is estimated in.
_BINS = 20
#: What :func:`marginal_kl` cannot exceed: a law inside one bin. In nats.
LARGEST_KL = math.log(_BINS)
#: Data that an interval needs: of fewer there are too few different resamples to find the outer
#: 2.5 % among, and the spread that they show is too small.
ENOUGH_POINTS = 6
_RESAMPLES = 1000

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """An estimate for each unit with its 95 percent bootstrap interval over data, ``(d,)`` each.

    The interval's ends are NaN where there are fewer than :data:`ENOUGH_POINTS` data.
    """

    value: Floats
    low: Floats
    high: Floats


def moving_means(z: Floats, ess: Floats, rng: np.random.Generator) -> Interval:
    """Estimate Var_x(E[z_u|x]) from draws.

    Parameters
    ----------
    z
        ``(chain, draw, n, d)``.
    ess
        Effective sample sizes, ``(n, d)``: the means' Monte Carlo variance is subtracted.
    rng
        Of the bootstrap.
    """
    means = z.mean((0, 1))
    noise = z.var((0, 1)) / ess

    def estimate(rows: NDArray[np.integer]) -> Floats:
        return means[rows].var(0, ddof=1) - noise[rows].mean(0)

    return _bootstrap(estimate, len(means), rng)


def marginal_kl(z: Floats, prior: Floats, ess: Floats, rng: np.random.Generator) -> Interval:
    """Estimate E_x KL(p(z_u|x) || p(z_u)), nats, from draws of both.

    A histogram in bins of equal prior probability, for any law, less its bias (Miller 1955):
    (bins - 1) / (2 ESS). It cannot exceed :data:`LARGEST_KL`, log of the number of bins: a
    posterior narrower than a bin is farther from the prior than it says.

    Parameters
    ----------
    z
        ``(chain, draw, n, d)``.
    prior
        ``(m, d)``, m large.
    ess
        Effective sample sizes, ``(n, d)``.
    rng
        Of the bootstrap.
    """
    edges = np.quantile(prior, np.arange(1, _BINS) / _BINS, axis=0)
    n, d = z.shape[2:]
    kl = np.empty((n, d))
    for u in range(d):
        bins = np.searchsorted(edges[:, u], z[..., u].reshape(-1, n))
        for i in range(n):
            share = np.bincount(bins[:, i], minlength=_BINS) / len(bins)
            kl[i, u] = (share * np.log(np.maximum(share, 1e-300) * _BINS)).sum()
    kl -= (_BINS - 1) / (2 * ess)
    return _bootstrap(lambda rows: kl[rows].mean(0), n, rng)


def _bootstrap(estimate, n: int, rng: np.random.Generator) -> Interval:  # type: ignore[no-untyped-def]
    if n < ENOUGH_POINTS:
        value = estimate(np.arange(n))
        return Interval(value, np.full_like(value, math.nan), np.full_like(value, math.nan))
    drawn = np.array([estimate(rng.integers(0, n, n)) for _ in range(_RESAMPLES)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Interval(estimate(np.arange(n)), low, high)


def verdicts(active: NDArray[np.bool_], means: Interval | None, kl: Interval) -> list[str]:
    """Return who is to blame for each unit.

    Parameters
    ----------
    active
        Whether the guide uses the unit, ``(d,)``.
    means, kl
        Of the true posterior: :func:`moving_means`, :func:`marginal_kl`. Given a context, how means
        vary within it is not known from few data: ``None``, and the KL decides.

    Returns
    -------
    list of str
        ``"active"``: the guide uses it. Of collapsed units, ``"model"``: the true posterior is
        collapsed too; ``"guide"``: it is not; ``"undecided"``: these data do not tell, as always
        where they are too few for an interval.
    """
    used, unused = kl.low > USED_KL, kl.high < USED_KL
    if means is not None:
        used |= means.low > ACTIVE_VARIANCE
        unused &= means.high < ACTIVE_VARIANCE
    said = np.select([active, used, unused], ["active", "guide", "model"], "undecided")
    return [str(word) for word in said]


def units_table(
    active: NDArray[np.bool_], var_mu: Floats, means: Interval | None, kl: Interval
) -> pd.DataFrame:
    """Return a row for each unit: both variances of the mean, the KL, and the verdict."""
    missing = np.full(len(active), math.nan)
    shown = means or Interval(missing, missing, missing)
    return pd.DataFrame(
        {
            "unit": np.arange(len(active)),
            "guide_active": active,
            "guide_var_mu": var_mu,
            "var_mean": shown.value,
            "var_mean_low": shown.low,
            "var_mean_high": shown.high,
            "kl": kl.value,
            "kl_low": kl.low,
            "kl_high": kl.high,
            "blame": verdicts(active, means, kl),
        }
    )
