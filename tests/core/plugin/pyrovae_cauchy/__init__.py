"""A prior with very heavy tails, a rule of descent, and a metric of linear dependence."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import ArrayLike
from pydantic import Field
from torch.distributions import Distribution

from pyrovae.measures.disentanglement import METRICS, MetricResult
from pyrovae.measures.scores import Score
from pyrovae.models.priors import Prior
from pyrovae.training.optimizers import Moments, Optimizer, Tensors


class Cauchy(Prior):
    """Independent Cauchy(0, scale): no mean, no variance.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    scale
        Half the distance between the quartiles.
    """

    def __init__(self, latent_dim: int, *, scale: Annotated[float, Field(gt=0)] = 1.0) -> None:
        super().__init__(latent_dim)
        self.scale = scale
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> Distribution:
        """Return the product of Cauchy laws."""
        return dist.Cauchy(self.zero, torch.full_like(self.zero, self.scale)).to_event(1)


class SignDescent(Optimizer):
    """Steps of the learning rate along the gradient's sign."""

    def __init__(self, *, scale: Annotated[float, Field(gt=0)] = 1.0) -> None:
        self.scale = scale

    def update(
        self,
        params: Tensors,
        grads: Tensors,
        moments: Moments,
        step: torch.Tensor,
        lr: torch.Tensor,
    ) -> tuple[Tensors, Moments]:
        """Return parameters after a step; nothing is remembered."""
        return {n: params[n] - self.scale * lr * g.sign() for n, g in grads.items()}, {}


@METRICS.register(
    "mean_correlation",
    source="Nobody 2026",
    score=Score("mean_correlation", "Mean |r|", better="high", kind="proportion", rope=0.02),
    parts=[
        Score(
            "mean_correlation_lost",
            "Lost factors",
            unit="bits",
            better="low",
            kind="positive",
            meaning="What no code knows.",
        )
    ],
)
def mean_correlation(
    codes: ArrayLike, factors: ArrayLike, rng: np.random.Generator | None = None, *, power: int = 1
) -> MetricResult:
    """Mean over factors of the largest absolute correlation with a code."""
    z, v = np.asarray(codes, float), np.asarray(factors, float)
    both = np.corrcoef(np.hstack([z, v]), rowvar=False)
    table = np.nan_to_num(np.abs(both[: z.shape[1], z.shape[1] :])) ** power
    best = table.max(0)
    lost = float(-np.log2(np.maximum(best, 1e-12)).sum())
    return MetricResult(float(best.mean()), {"lost": lost}, {"power": power})


def undeclared(codes: ArrayLike, factors: ArrayLike, rng: object = None) -> MetricResult:
    """Number of codes, of which nothing is declared."""
    return MetricResult(float(np.shape(codes)[1]))
