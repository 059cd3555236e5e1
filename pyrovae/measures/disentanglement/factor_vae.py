"""FactorVAE score: does fixing a factor still exactly one code?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from pyrovae.measures.disentanglement.base import (
    METRICS,
    Codes,
    Factors,
    MetricResult,
    RNGLike,
)
from pyrovae.measures.disentanglement.fixed_factor import draw_batches
from pyrovae.measures.disentanglement.labels import indicators
from pyrovae.measures.disentanglement.split import train_test_split
from pyrovae.measures.disentanglement.validation import check_pair
from pyrovae.measures.scores import Score


@METRICS.register(
    "factor_vae",
    score=Score("factor_vae", "FactorVAE", better="high", kind="proportion"),
    parts=[
        Score(
            "factor_vae_train_accuracy",
            "FactorVAE, training accuracy",
            better="high",
            kind="proportion",
            meaning="Accuracy on the training votes.",
        ),
        Score(
            "factor_vae_chance",
            "FactorVAE, chance",
            kind="proportion",
            meaning="Accuracy of guessing: one over the number of factors.",
        ),
        Score(
            "factor_vae_n_active",
            "FactorVAE, codes that vary",
            unit="count",
            kind="count",
            meaning="Codes whose standard deviation is large enough to win a vote.",
        ),
    ],
    min_factors=2,
)
def factor_vae(
    codes: ArrayLike,
    factors: ArrayLike,
    rng: RNGLike = None,
    classes: Sequence[int] | None = None,
    *,
    batch_size: Annotated[int, Field(gt=1)] = 64,
    n_train: Annotated[int, Field(gt=0)] = 10_000,
    n_test: Annotated[int, Field(gt=0)] = 5_000,
    min_std: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.05,
) -> MetricResult:
    r"""FactorVAE score: the factor that was fixed, told from the code that varies least.

    .. math::

        P\left(\hat v(u^*) = v\right),
        \quad u^* = \arg\min_u \frac{\mathrm{Var}(z_u \mid v)}{\mathrm{Var}(z_u)}

    A vote: choose a factor and a value of it, draw a batch of points with that value, and name the
    code whose variance over the batch, relative to its variance over all points, is smallest. Each
    code predicts the factor for which it won most training votes; the score is the accuracy on test
    votes. Chance is ``1 / k`` (``parts["chance"]``).

    Parameters
    ----------
    codes
        (n, d).
    factors
        (n, k), whole numbers, k >= 2.
    rng
        Splits the points and draws the votes.
    classes
        Labels of each code, 0 for a real one; ``None`` where all are. The variance of labels is
        Gini's, half the chance that two differ.
    batch_size
        Points in a vote, drawn with replacement.
    n_train, n_test
        Votes. Training and test votes come from disjoint points, split in this ratio: a vote
        drawn from the same points as those learnt from would reward chance patterns of the points
        themselves.
    min_std
        Codes of smaller standard deviation over all points cannot win. (Locatello et al. 2019 call
        0.05 a variance; their code compares it with the standard deviation, as here.) It makes the
        score depend on the codes' scale. Codes that never vary cannot win in any case.

    Returns
    -------
    MetricResult
        ``parts``: ``train_accuracy``, ``chance``, ``n_active`` codes, and ``votes`` (d, k), the
        training votes.

    Raises
    ------
    ConfigError
        If the arrays are not as `check_pair` asks, there is one factor only, or too few points for
        any two to share a value.

    Notes
    -----
    Carbonneau et al. 2020 (arXiv:2012.09276) call this metric Z-min variance, and rescale it from
    [chance, 1] to [0, 1]. With no active code there are no votes, and the score is 0.

    References
    ----------
    Kim & Mnih 2018, sec. 4; arXiv:1802.05983

    Examples
    --------
    >>> import numpy as np
    >>> from pyrovae.measures.disentanglement import factor_vae
    >>> factors = np.random.default_rng(0).integers(5, size=(600, 2))
    >>> turned = factors @ [[1, 1], [1, -1]]  # each code holds both factors
    >>> sizes = {"n_train": 500, "n_test": 200}
    >>> [round(factor_vae(codes, factors, 0, **sizes).score, 2) for codes in (factors, turned)]
    [1.0, 0.49]
    """
    z, v = check_pair(codes, factors, min_factors=2)
    rng = np.random.default_rng(rng)
    columns, of = (z, np.arange(z.shape[1])) if classes is None else indicators(z, classes)
    std = z.std(axis=0, ddof=1)
    if classes is not None:
        std = np.sqrt(np.bincount(of, columns.var(axis=0, ddof=1)))
    active = (std >= min_std) & (np.ptp(z, axis=0) > 0)
    split = train_test_split(columns, v, n_train, n_test, rng)
    kept = active[of]
    of = of[kept]
    scaled = (split.train_codes[:, kept] / std[of], split.test_codes[:, kept] / std[of])
    starts = None if classes is None else np.flatnonzero(np.diff(of, prepend=-1))

    train_accuracy = test_accuracy = 0.0
    votes = np.zeros((z.shape[1], v.shape[1]), dtype=np.int64)
    if active.any():
        train = _votes(scaled[0], split.train_factors, n_train, batch_size, rng, starts)
        test = _votes(scaled[1], split.test_factors, n_test, batch_size, rng, starts)
        predicted = train.argmax(axis=1)
        code = np.arange(len(predicted))
        train_accuracy = float(train[code, predicted].sum() / n_train)
        test_accuracy = float(test[code, predicted].sum() / n_test)
        votes[active] = train
    return MetricResult(
        score=test_accuracy,
        parts={
            "train_accuracy": train_accuracy,
            "chance": 1 / v.shape[1],
            "n_active": float(active.sum()),
            "votes": votes.tolist(),
        },
        estimator={
            "n_points": len(z),
            "batch_size": batch_size,
            "n_train": n_train,
            "n_test": n_test,
            "min_std": min_std,
        },
    )


def _votes(
    codes: Codes,
    factors: Factors,
    n_votes: int,
    batch_size: int,
    rng: np.random.Generator,
    starts: NDArray[np.intp] | None,
) -> NDArray[np.int64]:
    """Count how often each code varies least when each factor is fixed: (d, k).

    ``starts``: first column of each code, where some have several.
    """

    def varied(batches: NDArray[np.intp]) -> Codes:
        variance = codes[batches].var(axis=1)
        return variance if starts is None else np.add.reduceat(variance, starts, axis=1)

    n_codes = codes.shape[1] if starts is None else len(starts)
    n_factors = factors.shape[1]
    votes_of_factor = rng.multinomial(n_votes, np.full(n_factors, 1 / n_factors))
    votes = [
        np.bincount(
            varied(draw_batches(factor, count, batch_size, rng)).argmin(axis=1),
            minlength=n_codes,
        )
        for factor, count in zip(factors.T, votes_of_factor, strict=True)
    ]
    return np.stack(votes, axis=1)
