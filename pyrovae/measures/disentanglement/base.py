"""What a metric is: a pure function of arrays, registered by name, that returns a `MetricResult`.

::

    @METRICS.register(
        "mig", score=Score("mig", "MIG", better="high", kind="proportion")
    )
    def mig(codes, factors, rng=None, *, n_bins=20): ...

``codes`` is (n, d), ``factors`` (n, k): row i of both is point i. ``rng`` is whatever
:func:`numpy.random.default_rng` takes. The keyword-only parameters are the estimator's; their
defaults are those of Locatello et al. 2019 (arXiv:1811.12359 and the authors'
``disentanglement_lib``), and they are stored with the score. Direct calls trust them;
``METRICS.create`` validates them first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyrovae.core.registry import Registry
from pyrovae.measures.scores import DISENTANGLEMENT, OTHER, Score, declare_metrics, undeclared

Codes = NDArray[np.float64]
Factors = NDArray[np.int64]
RNGLike = np.random.Generator | int | None
Metric = Callable[..., "MetricResult"]
M = TypeVar("M", bound=Metric)


@dataclass(frozen=True)
class MetricResult:
    """A score with what it was made of and how it was estimated.

    Parameters
    ----------
    score
        The number that the metric's name stands for.
    parts
        Its components: floats, or (nested) lists of floats; per-factor lists have length k,
        per-code lists length d, matrices shape (d, k).
    estimator
        Every parameter of the estimator, and the number of points it saw. Together with the
        arrays and the generator it reproduces the score.
    """

    score: float
    parts: dict[str, float | list[Any]] = field(default_factory=dict)
    estimator: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Facts:
    """What is known of a metric besides its function."""

    score: Score
    parts: tuple[Score, ...]
    min_factors: int
    costly: bool
    real_factors: bool


class Metrics(Registry[Metric]):
    """The known metrics, each with the declaration of its score.

    A plug-in registers by the same decorator; its entry point names the function. A function that
    was only named by an entry point, or comes by its dotted path, is taken for a metric of one
    factor or more, and nothing is claimed of its score.
    """

    def __init__(self) -> None:
        super().__init__(
            "metric",
            groups={
                "Information, of codes and factors": (
                    "mig",
                    "mig_sup",
                    "dcimig",
                    "jemmig",
                    "modularity",
                    "infom",
                    "infoc",
                    "infoe",
                ),
                "Prediction of factors": (
                    "dci",
                    "sap",
                    "explicitness",
                    "mcc",
                    "sample_efficiency",
                    "unfairness",
                ),
                "Interventions on factors": ("beta_vae", "factor_vae", "irs"),
                "Codes alone": (
                    "average_mutual_information",
                    "gaussian_total_correlation",
                    "wasserstein_correlation",
                    "intrinsic_dimension",
                ),
            },
        )
        self._facts: dict[str, _Facts] = {}

    def register(
        self,
        name: str,
        *,
        source: str | None = None,
        score: Score | None = None,
        parts: Sequence[Score] = (),
        min_factors: int = 1,
        costly: bool = False,
        real_factors: bool = False,
    ) -> Callable[[M], M]:
        """Return a decorator that adds a metric.

        Parameters
        ----------
        name
            Of the metric; also the key of its score.
        source
            The publication; by default what the docstring has under ``References``.
        score
            What its number is. It is one of the main scores, its group that of disentanglement and
            its meaning the first line of the docstring, unless told otherwise.
        parts
            The single-number parts of its results: the keys are ``<name>_<part>``.
        min_factors
            How many factors it needs: 0 if it reads the codes alone, and callers may pass
            ``factors=None``; 2 if it asks which factor a code belongs to.
        costly
            Whether it fits learners: repeating it, as standard errors do, takes long.
        real_factors
            Whether it takes factors that are real numbers, not categories.

        Raises
        ------
        ValueError
            If the keys do not go with the name, or the name is taken.
        """
        score = score or undeclared(name)
        if score.key != name:
            raise ValueError(f"metric '{name}': its score has the key '{score.key}'")
        for part in parts:
            if not part.key.startswith(f"{name}_"):
                raise ValueError(
                    f"metric '{name}': the key of a part is '{name}_…', not '{part.key}'"
                )
        registered = super().register(name, source=source)

        def add(metric: M) -> M:
            registered(metric)
            own = _main(score, metric)
            self._facts[name] = _Facts(
                own, tuple(map(_grouped, parts)), min_factors, costly, real_factors
            )
            return metric

        return add

    @property
    def scores(self) -> Mapping[str, Score]:
        """The scores of all metrics, each followed by its parts, by key."""
        return {s.key: s for name in self for s in self.scores_of(name)}

    def scores_of(self, name: str) -> tuple[Score, ...]:
        """Return a metric's score and those of its parts."""
        facts = self._of(name)
        return (facts.score, *facts.parts)

    def min_factors(self, name: str) -> int:
        """Return how many factors a metric needs; 0 if it reads the codes alone."""
        return self._of(name).min_factors

    def is_costly(self, name: str) -> bool:
        """Tell whether a metric fits learners, for seconds rather than milliseconds."""
        return self._of(name).costly

    def takes_real_factors(self, name: str) -> bool:
        """Tell whether a metric takes factors that are real numbers, or needs none."""
        facts = self._of(name)
        return facts.real_factors or not facts.min_factors

    def _of(self, name: str) -> _Facts:
        metric = self[name]
        if name in self._facts:
            return self._facts[name]
        for known, facts in self._facts.items():
            if self[known] is metric:  # The path of a function that has a name too.
                score, *parts = (
                    replace(s, key=name + s.key.removeprefix(known))
                    for s in (facts.score, *facts.parts)
                )
                return replace(facts, score=score, parts=tuple(parts))
        return _Facts(_main(undeclared(name), metric), (), 1, costly=False, real_factors=False)


METRICS = Metrics()
declare_metrics(METRICS)


def _main(score: Score, metric: Metric) -> Score:
    """Return the score of a metric, which explains it unless the declaration does."""
    summary = (inspect.getdoc(metric) or "").split("\n")[0].replace("``", "`")
    return replace(_grouped(score), meaning=score.meaning or summary, main=True)


def _grouped(score: Score) -> Score:
    return replace(score, group=DISENTANGLEMENT) if score.group == OTHER else score


def is_costly(name: str) -> bool:
    """Tell whether the metric of this name fits learners, for seconds rather than milliseconds.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return METRICS.is_costly(name)


def min_factors(name: str) -> int:
    """Return how many factors the metric of this name needs; 0 if it reads the codes alone.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return METRICS.min_factors(name)


def needs_factors(name: str) -> bool:
    """Tell whether the metric of this name compares codes with ground-truth factors.

    Raises
    ------
    UnknownNameError
        If no metric has this name.
    """
    return METRICS.min_factors(name) > 0
