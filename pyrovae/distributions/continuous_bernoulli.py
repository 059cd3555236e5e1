"""The continuous Bernoulli law, accurate for every logit in single precision."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

#: Below this |logit| the normaliser and the moments are taken from their series at 0.
_SERIES = 0.25


class ContinuousBernoulli(TorchDistribution):
    """Density on [0, 1] proportional to lambda^x (1 - lambda)^(1 - x).

    With t = log(lambda / (1 - lambda)) it is exp(t (x - 1/2)) (t/2) / sinh(t/2), which is
    Loaiza-Ganem & Cunningham 2019, eq. 4-7 (arXiv:1907.06845), written in the logit. The class of
    ``torch`` works with lambda, which single precision rounds to 1 from t = 17 on.

    Parameters
    ----------
    logits
        log(lambda / (1 - lambda)), shape ``batch``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, *, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: ContinuousBernoulli | None = None
    ) -> ContinuousBernoulli:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(ContinuousBernoulli, _instance)
        new.logits = self.logits.expand(batch_shape)
        super(ContinuousBernoulli, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _split(self, near: float) -> tuple[Tensor, Tensor]:
        """Return where |logit| < ``near``, and the logits with 1 in those places."""
        small = self.logits.abs() < near
        return small, torch.where(small, torch.ones_like(self.logits), self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``batch`` or that of ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        small, t = self._split(_SERIES)
        # log of sinh(t/2) / (t/2), first without overflow, then as a series at 0.
        exact = t.abs() / 2 + torch.log(-torch.expm1(-t.abs()) / t.abs())
        s = self.logits**2
        series = s / 24 - s**2 / 2880 + s**3 / 181440
        return self.logits * (value - 0.5) - torch.where(small, series, exact)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)`` by inversion."""
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        small, t = self._split(1e-3)
        # Draws for logit t mirror those for -t: solve where exp does not overflow.
        tail = torch.where(t > 0, 1 - u, u)
        x = torch.log1p(tail * torch.expm1(-t.abs())) / -t.abs()
        t0 = self.logits
        series = u + u * (1 - u) * (t0 / 2 + t0**2 * (1 - 2 * u) / 6)
        return torch.where(small, series, torch.where(t > 0, 1 - x, x)).clamp(0, 1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats: minus the log-density, which is affine, at the mean."""
        return -self.log_prob(self.mean)

    @property
    def mean(self) -> Tensor:
        """1 / (1 - exp(-t)) - 1/t, and 1/2 at t = 0."""
        small, t = self._split(_SERIES)
        s = self.logits
        series = 0.5 + s / 12 - s**3 / 720 + s**5 / 30240
        return torch.where(small, series, 0.5 + 0.5 / torch.tanh(t / 2) - 1 / t)

    @property
    def variance(self) -> Tensor:
        """1/t² - 1 / (4 sinh²(t/2)), and 1/12 at t = 0."""
        small, t = self._split(_SERIES)
        s = self.logits**2
        series = 1 / 12 - s / 240 + s**2 / 6048 - s**3 / 172800
        exact = 1 / t**2 - 0.25 / torch.sinh(t.clamp(-80, 80) / 2) ** 2
        return torch.where(small, series, exact)
