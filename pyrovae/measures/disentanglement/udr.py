"""Unsupervised disentanglement ranking: do models of other seeds find the same codes?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import Codes, MetricResult
from pyrovae.measures.disentanglement.validation import check_codes
from pyrovae.measures.scores import DISENTANGLEMENT, Score, declare

#: Of a run, among the seeds of its cell.
UDR = declare(
    Score(
        "udr",
        "UDR",
        better="high",
        kind="proportion",
        group=DISENTANGLEMENT,
        meaning=(
            "Agreement of a run's codes with those of the other seeds of its cell, without the "
            "factors (Duan et al. 2020)."
        ),
        main=True,
    )
)


def udr(
    codes: Sequence[ArrayLike],
    kl: Sequence[ArrayLike] | None = None,
    *,
    active: Sequence[ArrayLike] | None = None,
    similarity: Literal["lasso", "spearman"] = "lasso",
    min_kl: float = 0.01,
    lasso_alpha: float = 0.1,
) -> MetricResult:
    """Score each of several models by how well its codes match those of the others.

    For models i and j with informative codes a and b, R(a, b) says how similar code a is to code b.
    A match is good if each code resembles exactly one of the other model's::

        UDR_ij = (sum_b max_a R(a, b)**2 / sum_a R(a, b)
                  + sum_a max_b R(a, b)**2 / sum_b R(a, b)) / (d_i + d_j)

    (Duan et al. 2020; arXiv:1905.12614). A model's score is the median over the others.

    Parameters
    ----------
    codes
        One (n, d_m) array per model, of the same n points; at least two models.
    kl
        One (d_m,) array per model: E_x KL(q(z_u|x) || p(z_u)) in nats. Codes with ``min_kl`` or
        less are uninformative and left out. None: all codes that vary count. A posterior that
        cannot be the prior has a floor, which may lie above ``min_kl`` for every idle unit.
    active
        One (d_m,) array of booleans per model: the codes that count, by any other criterion.
    similarity
        ``"lasso"``: magnitude of the weights that predict model j's codes from model i's, both
        standardised. ``"spearman"``: magnitude of the rank correlation.
    min_kl, lasso_alpha
        As in Duan et al.

    Returns
    -------
    MetricResult
        The score is the mean over models. ``parts``: ``per_model`` (m,), and ``pairwise`` (m, m),
        whose entry (i, j) is UDR_ij and whose diagonal is NaN. With the lasso it is not symmetric;
        a model's score takes those in which it is predicted, as the authors' code does.

    Raises
    ------
    ConfigError
        If there are fewer than two models, or their arrays do not fit together.

    Notes
    -----
    Two models of which one has no informative code have UDR_ij = 0. Where d_i and d_j differ, the
    authors' code averages two means; the equation above, which is used here, weights all codes
    alike.
    """
    if len(codes) < 2:
        raise ConfigError(f"UDR compares models: give at least two, got {len(codes)}", "codes")
    checked = [check_codes(z) for z in codes]
    if len({len(z) for z in checked}) > 1:
        raise ConfigError("all models must encode the same points", "codes")
    informative = [
        (z[:, keep] - z[:, keep].mean(axis=0)) / z[:, keep].std(axis=0)
        for z, keep in zip(checked, _counted(checked, kl, min_kl, active), strict=True)
    ]

    m = len(informative)
    pairwise = np.full((m, m), np.nan)
    for i, j in np.argwhere(~np.eye(m, dtype=bool)):
        pairwise[i, j] = _match(
            _similarity(informative[i], informative[j], similarity, lasso_alpha)
        )
    per_model = np.nanmedian(pairwise, axis=0)
    return MetricResult(
        score=float(per_model.mean()),
        parts={"per_model": per_model.tolist(), "pairwise": pairwise.tolist()},
        estimator={
            "n_points": len(checked[0]),
            "similarity": similarity,
            "min_kl": None if kl is None else min_kl,
            "lasso_alpha": lasso_alpha,
        },
    )


def _counted(
    codes: list[Codes],
    kl: Sequence[ArrayLike] | None,
    min_kl: float,
    active: Sequence[ArrayLike] | None,
) -> list[NDArray[np.bool_]]:
    counted = [np.ptp(z, axis=0) > 0 for z in codes]
    shapes = [(z.shape[1],) for z in codes]
    if kl is not None:
        rates = [np.asarray(rate, dtype=np.float64) for rate in kl]
        if [rate.shape for rate in rates] != shapes:
            raise ConfigError("give one KL per code of each model", "kl")
        counted = [c & (rate > min_kl) for c, rate in zip(counted, rates, strict=True)]
    if active is not None:
        marks = [np.asarray(each) for each in active]
        if [mark.shape for mark in marks] != shapes or any(m.dtype != np.bool_ for m in marks):
            raise ConfigError("give one boolean per code of each model", "active")
        counted = [c & mark for c, mark in zip(counted, marks, strict=True)]
    return counted


def _similarity(a: Codes, b: Codes, kind: str, alpha: float) -> NDArray[np.float64]:
    """Return R, (d_a, d_b), of two standardised sets of codes."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.stats import rankdata
    from sklearn.linear_model import Lasso

    d_a, d_b = a.shape[1], b.shape[1]
    if not (d_a and d_b):
        return np.zeros((d_a, d_b))
    if kind == "lasso":
        return np.abs(Lasso(alpha=alpha, max_iter=10_000).fit(a, b).coef_).reshape(d_b, d_a).T
    ranks = np.hstack([rankdata(a, axis=0), rankdata(b, axis=0)])
    return np.abs(np.corrcoef(ranks.T))[:d_a, d_a:]


def _match(similarity: NDArray[np.float64]) -> float:
    """Return how close R is to pairing the codes one to one: UDR_ij."""
    if not similarity.size:
        return 0.0
    total = 0.0
    for axis in (0, 1):
        weight = similarity.sum(axis=axis)
        best = similarity.max(axis=axis)
        total += (best**2 / np.where(weight > 0, weight, 1)).sum()
    return float(total / sum(similarity.shape))
