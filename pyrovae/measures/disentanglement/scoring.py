"""Many metrics at once, on arrays from any program, as one table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import METRICS, min_factors, needs_factors
from pyrovae.measures.disentanglement.original import ORIGINAL_ESTIMATORS
from pyrovae.measures.disentanglement.uncertainty import with_standard_error
from pyrovae.measures.disentanglement.validation import are_whole, check_pair

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["metric", "quantity", "value", "standard_error", "estimator"]


def score(
    codes: ArrayLike,
    factors: ArrayLike | None = None,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    *,
    n_resamples: int = 0,
    original: bool = False,
) -> pd.DataFrame:
    """Score a representation by several metrics.

    Parameters
    ----------
    codes, factors
        (n, d) and (n, k). Without factors only metrics that do not need them can be asked for.
    metrics
        Names from ``METRICS``; None for all that these arrays allow: those that compare factors
        are left out if there is a single one, those that want categories if factors are real.
    seed
        Each metric draws from a stream of its own, made of the seed and its name: a score does not
        depend on which others are asked for.
    n_resamples
        Random halves for the standard errors (`with_standard_error`); 0 for none.
    original
        Use `ORIGINAL_ESTIMATORS` where the original papers differ from Locatello et al. 2019.

    Returns
    -------
    DataFrame
        One row per number, the score of a metric before its other single-number parts. Columns:
        ``metric``; ``quantity`` (``score`` or the part's name); ``value``; ``standard_error`` (of
        scores; NaN elsewhere); ``estimator`` (JSON).

    Raises
    ------
    ConfigError
        If the arrays are refused, with the metric's name if it is one of several that refuses; for
        a metric that needs factors when there are none; for a negative seed. `UnknownNameError` for
        an unknown metric.
    """
    import pandas as pd

    if seed < 0:
        raise ConfigError(f"a seed is not negative, got {seed}", "seed")
    if factors is not None:
        check_pair(codes, factors, whole=False)
    if metrics is None:
        given = 0 if factors is None else np.shape(factors)[1]
        real = factors is not None and not are_whole(factors)
        metrics = [
            name
            for name in METRICS
            if min_factors(name) <= given and (not real or METRICS.takes_real_factors(name))
        ]

    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(metrics):
        if factors is None and needs_factors(name):
            raise ConfigError(f"metric '{name}' needs factors: give them too")
        rng = np.random.default_rng([seed, *name.encode()])
        metric = METRICS[name]
        estimator = ORIGINAL_ESTIMATORS.get(name, {}) if original else {}
        try:
            if n_resamples:
                result, error = with_standard_error(
                    metric, codes, factors, rng, n_resamples=n_resamples, **estimator
                )
            else:
                result, error = metric(codes, factors, rng, **estimator), np.nan
        except ConfigError as refusal:
            raise ConfigError(f"metric '{name}': {refusal.message}", refusal.place) from None
        values = {"score": result.score} | {
            part: value for part, value in result.parts.items() if isinstance(value, float)
        }
        rows += [
            {
                "metric": name,
                "quantity": quantity,
                "value": value,
                "standard_error": error if quantity == "score" else np.nan,
                "estimator": json.dumps(result.estimator),
            }
            for quantity, value in values.items()
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def as_text(scores: pd.DataFrame) -> str:
    """Write the table of `score` for reading, without the estimators."""
    with_errors = bool(scores["standard_error"].notna().any())
    lines = [f"{'metric':<28}{'quantity':<24}{'value':>9}{'  standard error' * with_errors}"]
    for row in scores.itertuples():
        # A metric's name stands once, before its numbers.
        name = row.metric if row.quantity == "score" else ""
        error = "" if np.isnan(row.standard_error) else f"  {row.standard_error:.4f}"
        lines.append(f"{name:<28}{row.quantity:<24}{row.value:>9.4f}{error}")
    return "\n".join(lines)
