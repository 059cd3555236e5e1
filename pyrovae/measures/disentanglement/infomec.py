"""InfoM, InfoE and InfoC: modularity, explicitness and compactness, each in units of entropy.

Two of them ask how the normalised mutual information of codes and factors is spread; the third how
much of a factor a linear classifier reads from all codes.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from pyrovae.measures.disentanglement.base import (
    METRICS,
    Codes,
    Factors,
    MetricResult,
    RNGLike,
)
from pyrovae.measures.disentanglement.information import (
    as_labels,
    entropy,
    mutual_information,
)
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score

CodeKind = Literal["continuous", "discrete"]
Neighbors = Annotated[int, Field(gt=0)]

ACTIVE_RANGE = 1 / 20
"""Share of the widest code's range above which a continuous code counts as active."""

SOURCE = "Hsu et al. 2023, sec. 4; arXiv:2305.18378"


class _Normalised(NamedTuple):
    """Mutual information over the factors' entropies, (d, k), and which codes count, (d,)."""

    information: NDArray[np.float64]
    active: NDArray[np.bool_]

    def parts(self) -> dict[str, float | list]:
        return {
            "information": self.information.tolist(),
            "active": self.active.astype(float).tolist(),
        }


@METRICS.register(
    "infom",
    source=SOURCE,
    score=Score("infom", "InfoM", better="high", kind="proportion"),
    min_factors=2,
    costly=True,
)
def infom(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    code_kind: CodeKind = "continuous",
    n_neighbors: Neighbors = 10,
) -> MetricResult:
    r"""InfoM, modularity: how much of what an active code knows is of a single factor?

    .. math::

        \left(\frac{1}{d} \sum_u \frac{\max_v N_{uv}}{\sum_v N_{uv}} - \frac{1}{k}\right)
        \Big/ \left(1 - \frac{1}{k}\right), \quad N_{uv} = \frac{I(z_u; v)}{H(v)}

    The mean is over the d active codes: those whose range is above a twentieth of the widest's, or,
    of discrete codes, that take more than one value.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2.
    rng
        Breaks ties of continuous codes.
    code_kind
        ``"continuous"``: information from nearest neighbours (Ross 2014,
        https://doi.org/10.1371/journal.pone.0087357), without bins. ``"discrete"``: each value is a
        category, and points are counted.
    n_neighbors
        Of continuous codes. The authors' code takes 10.

    Returns
    -------
    MetricResult
        ``parts``: ``information`` (d, k), which is N, 0 for codes that are not active; ``active``
        (d,), 1 or 0; ``per_code``, of the active ones.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, or there is one factor only.

    Notes
    -----
    A code that knows nothing of any factor counts as one that knows equally much of all. Of codes
    of noise the estimates of information are small, but not equal, and only their ratios count:
    compare the score of used units alone.

    References
    ----------
    Hsu et al. 2023, sec. 4; arXiv:2305.18378

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import infom
    >>> factors = np.random.default_rng(0).integers(4, size=(1_000, 2))
    >>> permuted = factors[:, ::-1]
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> [round(infom(z, factors, 0, code_kind="discrete").score, 1) for z in (permuted, turned)]
    [1.0, 0.0]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    found = _normalised(z, v, code_kind, n_neighbors, np.random.default_rng(rng))
    per_code = _largest_share(found.information[found.active])
    return MetricResult(
        score=float(per_code.mean()) if per_code.size else 0.0,
        parts={**found.parts(), "per_code": per_code.tolist()},
        estimator={"n_points": len(z), "code_kind": code_kind, "n_neighbors": n_neighbors},
    )


@METRICS.register(
    "infoc",
    source=SOURCE,
    score=Score("infoc", "InfoC", better="high", kind="proportion"),
    costly=True,
)
def infoc(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    code_kind: CodeKind = "continuous",
    n_neighbors: Neighbors = 10,
) -> MetricResult:
    r"""InfoC, compactness: how much of what codes know of a factor does a single one know?

    .. math::

        \left(\frac{1}{k} \sum_v \frac{\max_u N_{uv}}{\sum_u N_{uv}} - \frac{1}{d}\right)
        \Big/ \left(1 - \frac{1}{d}\right), \quad N_{uv} = \frac{I(z_u; v)}{H(v)}

    u is one of d active codes, as of `infom`.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers.
    rng, code_kind, n_neighbors
        As of `infom`.

    Returns
    -------
    MetricResult
        ``parts``: ``information`` (d, k) and ``active`` (d,) as of `infom`; ``per_factor`` (k,).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    A factor that no code knows of counts as one that all know equally much of. A single active code
    is compact by definition, if it knows of any factor.

    References
    ----------
    Hsu et al. 2023, sec. 4; arXiv:2305.18378

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import infoc
    >>> factors = np.random.default_rng(0).integers(4, size=(1_000, 2))
    >>> copied = factors[:, [0, 1, 0, 1]]  # each factor in two codes of four: (1/2 - 1/4) / (3/4)
    >>> [round(infoc(z, factors, 0, code_kind="discrete").score, 1) for z in (factors, copied)]
    [1.0, 0.3]
    """
    z, v = check_pair(codes, factors)
    found = _normalised(z, v, code_kind, n_neighbors, np.random.default_rng(rng))
    per_factor = _largest_share(found.information[found.active].T)
    return MetricResult(
        score=float(per_factor.mean()),
        parts={**found.parts(), "per_factor": per_factor.tolist()},
        estimator={"n_points": len(z), "code_kind": code_kind, "n_neighbors": n_neighbors},
    )


@METRICS.register(
    "infoe",
    source=SOURCE,
    score=Score("infoe", "InfoE", better="high", kind="proportion"),
    costly=True,
)
def infoe(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    code_kind: CodeKind = "continuous",
) -> MetricResult:
    r"""InfoE, explicitness: how much of each factor does a linear classifier read from all codes?

    .. math::

        \frac{1}{k} \sum_v \left(1 - \frac{H_\mathcal{V}(v \mid z)}{H_\mathcal{V}(v)}\right)

    Predictive information (Xu et al. 2020, arXiv:2002.10689) of softmax regressions: H is the mean
    cross entropy of the one that fits best, with codes and without. There is no penalty, and
    values of a factor weigh alike, so that H without codes is the logarithm of their number.

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers.
    rng
        Not used: the estimate is deterministic.
    code_kind
        ``"continuous"``: regressions on standardised codes. ``"discrete"``: on an indicator for
        each value of each code.

    Returns
    -------
    MetricResult
        ``parts``: ``per_factor`` (k,).

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks.

    Notes
    -----
    As in the authors' code, the points that are predicted are those learnt from: with few points to
    each code and value the score is too high. Of d codes of noise it is about d (values - 1) / 2
    nats over the number of points, in units of the entropy. The cross entropy is that of all points
    alike; where values are not equally frequent it may be above the one without codes, and then
    counts as equal.

    References
    ----------
    Hsu et al. 2023, sec. 4; arXiv:2305.18378

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import infoe
    >>> factors = np.random.default_rng(0).integers(3, size=(300, 2))
    >>> one = factors[:, :1]  # tells nothing of the other
    >>> [round(infoe(codes, factors).score, 1) for codes in (factors, one)]
    [1.0, 0.5]
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    z, v = check_pair(codes, factors)
    scale = StandardScaler() if code_kind == "continuous" else OneHotEncoder(sparse_output=False)
    read = scale.fit_transform(z)
    per_factor = [_read_share(read, labels) for labels in as_labels(v).T]
    return MetricResult(
        score=float(np.mean(per_factor)),
        parts={"per_factor": per_factor},
        estimator={"n_points": len(z), "code_kind": code_kind},
    )


def _normalised(
    z: Codes, v: Factors, code_kind: CodeKind, n_neighbors: int, rng: np.random.Generator
) -> _Normalised:
    width = np.ptp(z, axis=0)
    active = width > (width.max() * ACTIVE_RANGE if code_kind == "continuous" else 0)
    labels = as_labels(v)
    information = np.zeros((z.shape[1], v.shape[1]))
    if active.any():
        kept = z[:, active]
        information[active] = (
            mutual_information(as_labels(kept), labels)
            if code_kind == "discrete"
            else _from_neighbors(kept, labels, n_neighbors, int(rng.integers(2**31)))
        )
    return _Normalised(information / entropy(labels), active)


def _from_neighbors(z: Codes, labels: NDArray[np.intp], n: int, seed: int) -> NDArray[np.float64]:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.feature_selection import mutual_info_classif

    return np.stack(
        [
            mutual_info_classif(
                z, factor, discrete_features=False, n_neighbors=n, random_state=seed
            )
            for factor in labels.T
        ],
        axis=1,
    )


def _largest_share(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each row's sum its largest entry is: 0 if all are equal, 1 if one has all.

    0 for a row of zeros, and 1 for a row of one entry above 0.
    """
    n, m = rows.shape
    total = rows.sum(axis=1)
    if m < 2:
        return (total > 0).astype(np.float64) if m else np.zeros(n)
    share = rows.max(axis=1) / np.where(total > 0, total, 1)
    return np.where(total > 0, (share - 1 / m) / (1 - 1 / m), 0.0)


def _read_share(read: NDArray[np.float64], labels: NDArray[np.intp]) -> float:
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=1_000)
    # Matrices of ten columns: BLAS threads wait for each other for ten times as long as they work.
    with threadpool_limits(limits=1, user_api="blas"):
        left = log_loss(labels, model.fit(read, labels).predict_proba(read))
    return max(0.0, 1 - float(left) / float(np.log(labels.max() + 1)))
