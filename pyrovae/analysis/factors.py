"""Which labels of a study are factors of its comparison, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

#: Who is served first. What makes numbers incomparable, the data above all, comes last.
PREFERENCE = ("prior", "posterior", "objective", "latent_dim", "likelihood", "network", "dataset")


def split_factors(
    runs: pd.DataFrame, varying: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Tell factors from labels that follow from them.

    Parameters
    ----------
    runs
        One row each, with the labels' columns.
    varying
        Labels that have more than one value.

    Returns
    -------
    factors
        In the order of preference.
    tied
        Label to the factors that decide it: ``zip`` in a study's file does that.
    """
    ranked = [k for k in PREFERENCE if k in varying] + [k for k in varying if k not in PREFERENCE]
    factors: list[str] = []
    tied: dict[str, list[str]] = {}
    for label in ranked:
        if factors and runs.groupby(factors)[label].nunique().max() == 1:
            tied[label] = list(factors)
        else:
            factors.append(label)
    return factors, tied
