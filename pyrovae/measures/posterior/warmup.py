"""Warm-up of Hamiltonian samplers: step size by dual averaging, a diagonal metric by windows.

Everything is stacked over chains, and each chain counts its own iterations: chains of different
data points need not be at the same place of the schedule.

Sources: Hoffman & Gelman 2014, sec. 3.2 (https://jmlr.org/papers/v15/hoffman14a.html); Stan
reference manual, "HMC algorithm parameters: automatic parameter tuning" (schedule, shrinkage).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

_GAMMA, _T0, _KAPPA = 0.05, 10.0, 0.75


class DualAverage(NamedTuple):
    """State of dual averaging for each chain; all of shape ``(b,)``."""

    centre: Tensor
    error: Tensor
    seen: Tensor
    log_step: Tensor
    log_average: Tensor

    @classmethod
    def around(cls, step_size: Tensor) -> DualAverage:
        """Start anew from step sizes ``(b,)``; larger ones are tried first."""
        log_step = step_size.log()
        zero = torch.zeros_like(log_step)
        return cls(log_step + 2.302585, zero, zero, log_step, zero)

    def update(self, accept: Tensor, target: Tensor | float) -> DualAverage:
        """Return the state after an iteration with mean acceptance probability ``accept``."""
        count = self.seen + 1
        share = 1 / (count + _T0)
        error = (1 - share) * self.error + share * (target - accept)
        log_step = self.centre - error * count.sqrt() / _GAMMA
        weight = count**-_KAPPA
        log_average = weight * log_step + (1 - weight) * self.log_average
        return DualAverage(self.centre, error, count, log_step, log_average)


class Moments(NamedTuple):
    """Running mean and squares (Welford 1962) for each chain: ``(b,)``, ``(b, d)``, ``(b, d)``."""

    seen: Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, like: Tensor) -> Moments:
        """Start without observations of shape ``(b, d)``."""
        return cls(torch.zeros_like(like[:, 0]), torch.zeros_like(like), torch.zeros_like(like))

    def update(self, z: Tensor) -> Moments:
        """Return the moments with one more observation for each chain."""
        count = self.seen + 1
        delta = z - self.mean
        mean = self.mean + delta / count[:, None]
        return Moments(count, mean, self.squares + delta * (z - mean))

    def variance(self) -> Tensor:
        """Return the variances, shrunk towards 1e-3 as Stan does; ``(b, d)``."""
        n = self.seen[:, None]
        sample = self.squares / (n - 1).clamp(min=1)
        return (n / (n + 5)) * sample + 1e-3 * (5 / (n + 5))


class Tuning(NamedTuple):
    """What is tuned: step size ``(b,)``, inverse metric ``(b, d)``, and how far tuning is."""

    step_size: Tensor
    inverse_metric: Tensor
    dual: DualAverage
    moments: Moments

    @classmethod
    def initial(cls, like: Tensor) -> Tuning:
        """Start with the identity as metric, for chains at ``(b, d)``."""
        size = torch.full_like(like[:, 0], like.shape[1] ** -0.25)
        return cls(size, torch.ones_like(like), DualAverage.around(size), Moments.empty(like))


def window_ends(warmup: int) -> list[int]:
    """Return the iterations, from 0, after which the metric is renewed (Stan's schedule).

    A fast interval finds the typical set, windows of doubling length learn the metric, a last fast
    interval settles the step size. Below 150 iterations the parts are 15, 75 and 10 percent.
    """
    first, last, window = (75, 50, 25) if warmup >= 150 else (0, 0, 0)
    if warmup < 150:
        first, last = int(0.15 * warmup), int(0.1 * warmup)
        window = warmup - first - last
    ends, at = [], first
    while at + window < warmup - last:
        # The last window takes what would not suffice for one of twice its length.
        if at + 3 * window > warmup - last:
            break
        at += window
        ends.append(at - 1)
        window *= 2
    if warmup - last > first:
        ends.append(warmup - last - 1)
    return ends


class Schedule(NamedTuple):
    """When each chain does what; see :func:`window_ends`.

    Attributes
    ----------
    learns
        For each iteration of warm-up, whether its draw counts for the metric; ``(warmup + 1,)``.
    renews
        Whether the metric is renewed after it.
    """

    learns: Tensor
    renews: Tensor
    warmup: int

    @classmethod
    def of(cls, warmup: int) -> Schedule:
        """Return the schedule; one further place stands for everything after warm-up."""
        learns = torch.zeros(warmup + 1, dtype=torch.bool)
        renews = torch.zeros(warmup + 1, dtype=torch.bool)
        ends = window_ends(warmup)
        if ends:
            first = 75 if warmup >= 150 else int(0.15 * warmup)
            learns[first : ends[-1] + 1] = True
            renews[ends] = True
        return cls(learns, renews, warmup)

    def update(
        self,
        tuning: Tuning,
        ended: Tensor,
        iteration: Tensor,
        z: Tensor,
        accept: Tensor,
        target: Tensor | float,
    ) -> Tuning:
        """Return the tuning after an iteration of some chains.

        Parameters
        ----------
        tuning
            Before it.
        ended
            Which chains have ended an iteration, ``(b,)``.
        iteration
            Its number in each chain, from 0, ``(b,)``.
        z
            Its draw, ``(b, d)``.
        accept
            Its mean acceptance probability, ``(b,)``.
        target
            The acceptance probability that is aimed at.
        """
        at = iteration.clamp(max=self.warmup)
        warming = ended & (iteration < self.warmup)
        learns, renews = ended & self.learns[at], ended & self.renews[at]
        dual = choose(warming, tuning.dual.update(accept, target), tuning.dual)
        moments = choose(learns, tuning.moments.update(z), tuning.moments)
        metric = choose(renews, moments.variance(), tuning.inverse_metric)
        # After warm-up the averaged step size stays.
        last = iteration == self.warmup - 1
        size = choose(last, dual.log_average, dual.log_step).exp()
        size = choose(warming, size, tuning.step_size)
        dual = choose(renews, DualAverage.around(size), dual)
        moments = choose(renews, Moments.empty(z), moments)
        return Tuning(size, metric, dual, moments)


T = TypeVar("T")


def choose(mask: Tensor, new: T, old: T) -> T:
    """Return, for each chain, the tensors of ``new`` where ``mask`` holds, else of ``old``.

    Parameters
    ----------
    mask
        ``(b,)``.
    new, old
        Tensors ``(b, …)``, or named tuples of such.
    """
    if isinstance(new, Tensor) and isinstance(old, Tensor):
        return torch.where(mask.reshape(-1, *[1] * (old.dim() - 1)), new, old)  # type: ignore[return-value]
    assert isinstance(new, tuple)
    assert isinstance(old, tuple)
    return type(old)(*(choose(mask, a, b) for a, b in zip(new, old, strict=True)))
