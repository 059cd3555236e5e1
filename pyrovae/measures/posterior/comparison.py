"""The guide next to the true posterior: how its marginals differ, dimension by dimension."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def compare_marginals(guide: Floats, reference: Floats, datum: NDArray) -> pd.DataFrame:
    """Compare marginals of draws.

    Parameters
    ----------
    guide
        ``(k, n, d)``.
    reference
        ``(m, n, d)``.
    datum
        Positions of the data in the test set, ``(n,)``.

    Returns
    -------
    DataFrame
        One row for each datum and unit: ``mean`` and ``sd`` of both, ``shift`` (difference of the
        means in the reference's sd), ``sd_ratio`` (guide / reference), ``q05`` … ``q95``
        (differences of quantiles) and ``w1`` (Wasserstein-1 distance), in units of the code, and
        ``w1_sd``, in the reference's sd.
    """
    n, d = guide.shape[1:]
    mean_q, mean_p = guide.mean(0), reference.mean(0)
    sd_q, sd_p = guide.std(0), reference.std(0)
    distance = wasserstein(guide, reference)
    apart = np.quantile(guide, _QUANTILES, 0) - np.quantile(reference, _QUANTILES, 0)
    columns = {
        "datum": np.repeat(datum, d),
        "unit": np.tile(np.arange(d), n),
        "mean_guide": mean_q.ravel(),
        "mean_reference": mean_p.ravel(),
        "sd_guide": sd_q.ravel(),
        "sd_reference": sd_p.ravel(),
        "shift": ((mean_q - mean_p) / sd_p).ravel(),
        "sd_ratio": (sd_q / sd_p).ravel(),
        **{f"q{round(100 * q):02d}": a.ravel() for q, a in zip(_QUANTILES, apart, strict=True)},
        "w1": distance.ravel(),
        "w1_sd": (distance / sd_p).ravel(),
    }
    return pd.DataFrame(columns)


def wasserstein(a: Floats, b: Floats) -> Floats:
    """Return the Wasserstein-1 distance of samples ``(k, *shape)`` and ``(m, *shape)``.

    In one dimension it is the area between the quantile functions; both are taken at the middle of
    as many levels as the smaller sample has draws.
    """
    levels = (np.arange(min(len(a), len(b))) + 0.5) / min(len(a), len(b))
    quantiles = (np.quantile(x, levels, axis=0, method="hazen") for x in (a, b))
    first, second = quantiles
    return np.abs(first - second).mean(0)
