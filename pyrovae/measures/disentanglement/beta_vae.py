"""BetaVAE score: can a linear classifier tell which factor two points share?"""

from __future__ import annotations

from typing import Annotated

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
from pyrovae.measures.disentanglement.fixed_factor import draw_pairs
from pyrovae.measures.disentanglement.split import train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "beta_vae",
    score=Score("beta_vae", "BetaVAE", better="high", kind="proportion"),
    parts=[
        Score(
            "beta_vae_train_accuracy",
            "BetaVAE, training accuracy",
            better="high",
            kind="proportion",
            meaning="Accuracy on the votes that the classifier learns from.",
        ),
        Score(
            "beta_vae_chance",
            "BetaVAE, chance",
            kind="proportion",
            meaning="Accuracy of guessing: one over the number of factors.",
        ),
    ],
    min_factors=2,
    costly=True,
)
def beta_vae(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    *,
    batch_size: Annotated[int, Field(gt=0)] = 64,
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
) -> MetricResult:
    r"""BetaVAE score: the shared factor, told from the mean distance of pairs in each code.

    .. math::

        P\left(\hat v(\bar\Delta) = v\right),
        \quad \bar\Delta = \frac{1}{B} \sum_{b=1}^B |z_b - z'_b|, \quad v(x_b) = v(x'_b)

    An example: choose a factor, draw pairs of points that agree in it, and average ``|z - z'|``
    over the pairs, (d,). The score is the test accuracy of a logistic regression that predicts the
    factor. Chance is ``1 / k`` (``parts["chance"]``).

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2.
    rng
        Splits the points and draws the pairs.
    batch_size
        Pairs in an example, each with a value of its own.
    n_train, n_test
        Examples, from disjoint points split in this ratio.

    Returns
    -------
    MetricResult
        ``parts``: ``train_accuracy`` and ``chance``.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, there is one factor only, or too few points for
        any two to share a value.

    Notes
    -----
    Carbonneau et al. 2020 (arXiv:2012.09276) call this metric Z-diff. Not scale-free: the
    regression is penalised (scikit-learn's default, as in Locatello et al. 2019). A linear
    classifier can also recognise a factor by a pair of codes, so entangled codes may score 1
    (Kim & Mnih 2018, sec. 4).

    References
    ----------
    Higgins et al. 2017, sec. 3; openreview.net/forum?id=Sy2fzU9gl

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import beta_vae
    >>> factors = np.random.default_rng(0).integers(5, size=(600, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> sizes = {"n_train": 500, "n_test": 200}
    >>> [round(beta_vae(codes, factors, 0, **sizes).score, 2) for codes in (factors, turned)]
    [1.0, 0.52]
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.linear_model import LogisticRegression

    z, v = check_pair(codes, factors, min_factors=2)
    rng = np.random.default_rng(rng)
    split = train_test_split(z, v, n_train, n_test, rng)
    x_train, y_train = _examples(split.train_codes, split.train_factors, n_train, batch_size, rng)
    x_test, y_test = _examples(split.test_codes, split.test_factors, n_test, batch_size, rng)
    with threadpool_limits(limits=1, user_api="blas"):  # as for `explicitness`
        model = LogisticRegression(max_iter=1_000).fit(x_train, y_train)
    return MetricResult(
        score=float(model.score(x_test, y_test)),
        parts={
            "train_accuracy": float(model.score(x_train, y_train)),
            "chance": 1 / v.shape[1],
        },
        estimator={
            "n_points": len(z),
            "batch_size": batch_size,
            "n_train": n_train,
            "n_test": n_test,
        },
    )


def _examples(
    codes: Codes, factors: Factors, n_examples: int, batch_size: int, rng: np.random.Generator
) -> tuple[Codes, NDArray[np.intp]]:
    """Return mean distances (n_examples, d) and the factor that was shared in each, (n_examples,).

    Each code's distances are exact zeros for a factor that it alone encodes.
    """
    n_factors = factors.shape[1]
    counts = rng.multinomial(n_examples, np.full(n_factors, 1 / n_factors))
    distances = []
    for factor, count in zip(factors.T, counts, strict=True):
        first, second = draw_pairs(factor, count * batch_size, rng)
        pairs = np.abs(codes[first] - codes[second])
        distances.append(pairs.reshape(count, batch_size, -1).mean(axis=1))
    return np.concatenate(distances), np.repeat(np.arange(n_factors), counts)
