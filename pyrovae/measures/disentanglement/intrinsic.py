"""Intrinsic dimension: how many numbers does it take to say where on its manifold a code is?"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pyrovae.measures.disentanglement.base import METRICS, MetricResult, RNGLike
from pyrovae.measures.disentanglement.validation import check_codes
from pyrovae.measures.scores import Score


@METRICS.register(
    "intrinsic_dimension",
    score=Score("intrinsic_dimension", "Intrinsic dimension", kind="positive"),
    min_factors=0,
    costly=True,
)
def intrinsic_dimension(
    codes: ArrayLike,
    factors: ArrayLike | None = None,
    rng: RNGLike = None,
    *,
    method: Literal["mle", "two_nn"] = "mle",
    n_neighbors: Annotated[int, Field(gt=2)] = 20,
) -> MetricResult:
    r"""Intrinsic dimension of the manifold that codes lie on, from distances to neighbours.

    .. math::

        \left[\frac{1}{n} \sum_i \frac{1}{m - 1} \sum_{j < m} \log \frac{r_{im}}{r_{ij}}
        \right]^{-1}

    r is the distance of point i from its jth neighbour, m the number of neighbours: around a point
    on a manifold of dimension D the number of others within r grows as r to the power of D.

    Parameters
    ----------
    codes
        (n, d). Observations do as well: rows of any kind.
    factors, rng
        Not used.
    method
        ``"mle"``: the likelihood of m neighbours (Levina & Bickel 2004, the inverse being averaged
        as MacKay & Ghahramani 2005 say). ``"two_nn"``: m = 2, which asks for less evenness of
        density and spreads more (Facco et al. 2017, arXiv:1803.06992).
    n_neighbors
        m, for ``"mle"``; at most all other points.

    Returns
    -------
    MetricResult
        0 if all points are one, infinite if all have their neighbours at one distance, as on a
        grid.

    Raises
    ------
    ConfigError
        If the codes are not as `check_codes` asks.

    Notes
    -----
    Points that occur several times count once. With noise the dimension is that of the noise at
    distances below it; many dimensions are underestimated, as it takes points by their power to
    fill a ball. Draws of codes have a larger dimension than their means where units are idle, which
    FONDUE goes by (Bonheme & Grzes 2022, arXiv:2209.12806).

    References
    ----------
    Levina & Bickel 2004; MacKay & Ghahramani 2005; Facco et al. 2017, arXiv:1803.06992

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import intrinsic_dimension
    >>> flat = np.random.default_rng(0).uniform(size=(2_000, 2))
    >>> rolled = np.column_stack([flat[:, 0] * np.cos(9 * flat[:, 0]),
    ...                           flat[:, 0] * np.sin(9 * flat[:, 0]), 5 * flat[:, 1]])
    >>> [round(intrinsic_dimension(z).score) for z in (flat, rolled)]
    [2, 2]
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.neighbors import NearestNeighbors

    given = check_codes(codes)
    z = np.unique(given, axis=0)
    m = min(2 if method == "two_nn" else n_neighbors, len(z) - 1)
    inverse = np.nan
    if m >= 2:
        # Each is its own first neighbour.
        far = NearestNeighbors(n_neighbors=m + 1).fit(z).kneighbors(z)[0][:, 1:]
        logs = np.log(far[:, -1:] / far[:, :-1])
        inverse = float(logs.mean())
    score = 0.0 if np.isnan(inverse) else np.inf if inverse == 0 else 1 / inverse
    return MetricResult(
        score=float(score),
        estimator={"n_points": len(given), "method": method, "n_neighbors": n_neighbors},
    )
