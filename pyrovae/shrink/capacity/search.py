"""Which latent_dim to train next, and what is believed about the number of units that are needed.

A model with ``d`` units shows about ``min(d, K)`` active ones, ``K`` the number that the data need.
Training is not exact, so the count of a seed is off by a few at times. The belief about ``K`` is
the exact posterior of this model on a grid, the typical error integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Typical errors of a count, in units, and their weights: a half-normal prior with scale 1.
_ERRORS = torch.linspace(0.05, 4.0, 60, dtype=torch.float64)
_WEIGHTS = torch.exp(-0.5 * _ERRORS**2)
#: A size is taken for sparse (or saturated) when the belief in it exceeds this.
SURE = 0.9


@dataclass(frozen=True)
class Observation:
    """One trained model: so many of its ``latent_dim`` units are active."""

    latent_dim: int
    active: int


@dataclass(frozen=True)
class Belief:
    """Posterior over K.

    Attributes
    ----------
    probability
        P(K = k) for k = 0 … largest latent_dim seen, the last standing for all K of at least that
        size; ``(largest + 1,)``.
    """

    probability: Tensor

    @property
    def mode(self) -> int:
        """The most probable K."""
        return int(self.probability.argmax())

    @property
    def open(self) -> bool:
        """Whether K may well exceed every size seen: none was sparse beyond doubt."""
        return float(self.probability[-1]) > 1 - SURE

    def sparse(self, latent_dim: int) -> float:
        """Return P(K < latent_dim): the probability that so many units are more than needed."""
        return float(self.probability[:latent_dim].sum())

    def interval(self, level: float = 0.95) -> tuple[int, int]:
        """Return the shortest run of values around the mode with at least this probability."""
        low = high = self.mode
        total = float(self.probability[low])
        while total < level:
            below = float(self.probability[low - 1]) if low > 0 else -1.0
            above = float(self.probability[high + 1]) if high + 1 < len(self.probability) else -1.0
            if below >= above:
                low, total = low - 1, total + below
            else:
                high, total = high + 1, total + above
        return low, high


def belief(observations: Sequence[Observation]) -> Belief:
    """Return the posterior over K, uniform before, from at least one observation.

    The error of a count is two-sided geometric (discrete Laplace), restricted to 0 … latent_dim;
    its scale has a half-normal(1) prior, the same for all models.
    """
    largest = max(o.latent_dim for o in observations)
    k = torch.arange(largest + 1, dtype=torch.float64)
    log_likelihood = torch.zeros(len(_ERRORS), largest + 1, dtype=torch.float64)
    for o in observations:
        expected = k.clamp(max=o.latent_dim)
        counts = torch.arange(o.latent_dim + 1, dtype=torch.float64)
        distance = (counts[:, None] - expected).abs()  # (counts, K)
        log_weights = -distance / _ERRORS[:, None, None]
        log_likelihood += log_weights[:, o.active] - log_weights.logsumexp(1)
    log_joint = log_likelihood + _WEIGHTS.log()[:, None]
    return Belief(torch.softmax(log_joint.logsumexp(0), 0))


def next_size(
    observations: Sequence[Observation], *, factor: int = 4, largest: int = 512
) -> int | None:
    """Return the latent_dim to train next, or ``None`` when the search is over.

    As long as no size is sparse beyond doubt sizes grow by ``factor``. Then the most probable K is
    tried, which sparse models tell directly. If that leaves more than one K in the 95 % interval,
    the smallest size with a unit too many follows: a bracket of saturated and sparse that no
    further training can narrow. Where the trainings disagree with the belief, it moves, and the
    search goes on from there.

    Parameters
    ----------
    observations
        Of the trainings so far, at least one.
    factor
        Growth of latent_dim.
    largest
        Never go beyond.
    """
    tried = {o.latent_dim for o in observations}
    believed = belief(observations)
    if believed.open:
        size = min(max(tried) * factor, largest)
        return size if size not in tried else None
    mode = max(believed.mode, 1)
    if mode not in tried:
        return mode
    low, high = believed.interval()
    if high > low and mode + 1 not in tried and mode < largest:
        return mode + 1
    return None
