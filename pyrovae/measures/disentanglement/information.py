"""Entropies and mutual information of discrete variables, by counting (in nats).

Plug-in estimates: between a variable of B values and one of L, n points put about
``(B - 1)(L - 1) / 2n`` nats of upward bias on the mutual information (Miller 1955).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pyrovae.measures.disentanglement.base import Codes

Binning = Literal["uniform", "quantile"]
Labels = NDArray[np.intp]
Matrix = NDArray[np.float64]

ROUNDING = 1e-13
"""Nats that a difference of entropies may be off by; less than any dependence of a million points.

Metrics that divide one mutual information by another must not take rounding for information.
"""


def discretize(values: NDArray[np.number], n_bins: int, binning: Binning = "uniform") -> Labels:
    """Replace each column's values by the number of the bin that they fall into.

    Parameters
    ----------
    values
        (n, m).
    n_bins
        Bins per column.
    binning
        ``"uniform"``: equal widths from the column's minimum to its maximum, as Locatello et al.
        2019 do. ``"quantile"``: equal counts; unchanged by increasing maps of the column, and
        robust to heavy tails.

    Returns
    -------
    (n, m) integers in [0, n_bins). A constant column is a single bin.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.stats import rankdata

    if binning == "quantile":
        rank = rankdata(values, method="min", axis=0).astype(np.intp) - 1
        return rank * n_bins // len(values)
    inner_edges = np.linspace(values.min(axis=0), values.max(axis=0), n_bins + 1)[1:-1]
    return np.stack(
        [np.searchsorted(e, v, side="right") for e, v in zip(inner_edges.T, values.T, strict=True)],
        axis=1,
    )


def as_labels(values: NDArray[np.number]) -> Labels:
    """Number the distinct values of each column of (n, m) from 0."""
    return np.stack([np.unique(v, return_inverse=True)[1] for v in values.T], axis=1)


def entropy(labels: Labels) -> Matrix:
    """Return the entropy of each column of (n, m) labels: (m,), nats."""
    return np.array([_entropy(column) for column in labels.T])


def joint_entropy(a: Labels, b: Labels) -> Matrix:
    """Return the joint entropy of each column of (n, d) with each of (n, k): (d, k), nats."""
    width = b.max(axis=0) + 1
    return np.array([[_entropy(x * w + y) for y, w in zip(b.T, width, strict=True)] for x in a.T])


def mutual_information(a: Labels, b: Labels) -> Matrix:
    """Return the mutual information of each column of (n, d) with each of (n, k): (d, k), nats."""
    information = entropy(a)[:, None] + entropy(b)[None, :] - joint_entropy(a, b)
    return np.where(information > ROUNDING, information, 0.0)


def code_factor_information(
    codes: Codes, factors: NDArray[np.int64], n_bins: int, binning: Binning
) -> tuple[Matrix, Matrix]:
    """Return I(binned code; factor), (d, k), and the factors' entropies, (k,); both in nats."""
    labels = as_labels(factors)
    return mutual_information(discretize(codes, n_bins, binning), labels), entropy(labels)


def gap(matrix: Matrix, axis: int) -> Matrix:
    """Return the largest minus the second largest entry along ``axis``.

    With a single entry the runner-up is 0: what a variable that carries nothing would have.
    """
    ordered = np.sort(matrix, axis=axis)
    best = np.take(ordered, -1, axis=axis)
    return best - np.take(ordered, -2, axis=axis) if matrix.shape[axis] > 1 else best


def _entropy(labels: Labels) -> float:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.special import entr

    return float(entr(np.bincount(labels) / len(labels)).sum())
