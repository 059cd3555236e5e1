"""What the analysis must know of a metric: how it varies, what is better, what is no matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pyrovae.measures.disentanglement import METRICS

#: ``count``: whole numbers up to the latent dimension; ``proportion``: in [0, 1]; ``positive``:
#: compared by ratios; ``real``: compared by differences.
Kind = Literal["count", "proportion", "positive", "real"]
Better = Literal["higher", "lower"] | None

#: Half width of the region of practical equivalence (Kruschke 2018) by kind: half a unit, a
#: hundredth of a score's range, a ratio of 1.1, half a nat.
_ROPE: dict[Kind, float] = {"count": 0.5, "proportion": 0.01, "positive": 0.1, "real": 0.5}


@dataclass(frozen=True)
class Metric:
    """A column of a study's table of runs.

    Attributes
    ----------
    key
        Its name.
    kind
        How it varies.
    better
        Which way is better; ``None`` if neither is, as with the number of active units.
    rope
        Differences up to this are practically none. For ``positive`` metrics, on the log scale.
    """

    key: str
    kind: Kind
    better: Better
    rope: float


#: Metrics in nats and counts that each run has, in the order of reports. A trained model's rate is
#: no merit or fault by itself, and neither is the number of its active units.
_KNOWN: dict[str, tuple[Kind, Better]] = {
    "active_units": ("count", None),
    "elbo": ("real", "higher"),
    "log_px": ("real", "higher"),
    "rate": ("real", None),
    "distortion": ("real", "lower"),
    "variance_law_error": ("positive", "lower"),
}
#: Scores of dependence between codes: independent ones have zero.
_DEPENDENCE = (
    "gaussian_total_correlation",
    "average_mutual_information",
    "wasserstein_correlation",
)


def describe(key: str, values: pd.Series, *, rope: float | None = None) -> Metric:
    """Return what is known of a metric, or what its values show.

    Parameters
    ----------
    key
        Its column.
    values
        Of all runs.
    rope
        Instead of the kind's default.
    """
    known = np.asarray(values.dropna(), dtype=float)
    kind: Kind
    better: Better
    if key in _KNOWN:
        kind, better = _KNOWN[key]
    elif key in METRICS:
        kind, better = "proportion", "lower" if key in _DEPENDENCE else "higher"
    else:
        kind, better = "real", None
    # Estimates may leave the range that the quantity has: then no law of that range fits them.
    if kind == "proportion" and not ((known >= 0) & (known <= 1)).all():
        kind = "real"
    if kind == "positive" and not (known > 0).all():
        kind = "real"
    return Metric(key, kind, better, _ROPE[kind] if rope is None else rope)


def comparable(runs: pd.DataFrame) -> list[str]:
    """Return the metrics of a study that are compared unless others are asked for."""
    scores = [key for key in runs.columns if key in METRICS]
    return [key for key in (*_KNOWN, *scores) if key in runs and runs[key].notna().any()]
