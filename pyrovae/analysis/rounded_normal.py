"""A normal variable that is seen rounded to a whole number: the law of a count over seeds."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class RoundedNormal(TorchDistribution):
    r"""``round(x)`` for ``x ~ Normal(loc, scale)``, tails beyond 0 and ``total`` folded in.

    .. math::
        P(k) = \Phi\left(\frac{k + 1/2 - \mu}{\sigma}\right)
             - \Phi\left(\frac{k - 1/2 - \mu}{\sigma}\right),
        \qquad k = 0, \dots, n,

    where the lower bound of ``k = 0`` is minus infinity and the upper bound of ``k = n`` infinity:
    an ordered probit model (McCullagh 1980) whose cut points are known. Unlike a beta-binomial law
    it may vary *less* than a binomial: seeds that all find 11 of 32 units active are no rarity.

    Parameters
    ----------
    loc, scale
        Of the normal variable, in counts.
    total
        Largest count.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "total": constraints.nonnegative,
    }

    def __init__(
        self, loc: Tensor, scale: Tensor, total: Tensor, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.total = torch.broadcast_tensors(loc, scale, total)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Whole numbers from 0 to ``total``."""
        return constraints.integer_interval(0, self.total)

    def expand(self, batch_shape: Any, _instance: Any = None) -> RoundedNormal:
        """Return the distribution with a larger batch shape."""
        new = self._get_checked_instance(RoundedNormal, _instance)
        shape = torch.Size(batch_shape)
        new.loc, new.scale = self.loc.expand(shape), self.scale.expand(shape)
        new.total = self.total.expand(shape)
        super(RoundedNormal, new).__init__(shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P(value)."""
        if self._validate_args:
            self._validate_sample(value)
        upper = (value + 0.5 - self.loc) / self.scale
        lower = (value - 0.5 - self.loc) / self.scale
        upper = torch.where(value >= self.total, torch.full_like(upper, math.inf), upper)
        lower = torch.where(value <= 0, torch.full_like(lower, -math.inf), lower)
        # Φ(b) - Φ(a) = Φ(-a) - Φ(-b): taken on the side where both are small, nothing cancels.
        flip = lower + upper > 0
        a, b = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
        return _log_ndtr(b) + _log1mexp(_log_ndtr(b) - _log_ndtr(a))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw counts."""
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
            drawn = (self.loc + self.scale * noise).round()
            return torch.minimum(drawn.clamp(min=0), self.total)

    @property
    def mean(self) -> Tensor:
        """Return E[k] = sum over k = 1, …, total of P(count >= k)."""
        k = torch.arange(1, int(self.total.max()) + 1, dtype=self.loc.dtype)
        z = (self.loc[..., None] - k + 0.5) / self.scale[..., None]
        return (torch.special.ndtr(z) * (k <= self.total[..., None])).sum(-1)


def _log_ndtr(x: Tensor) -> Tensor:
    """Return log Φ(x) with a gradient of zero, not NaN, at both infinities."""
    finite = x.isfinite()
    inside = torch.special.log_ndtr(torch.where(finite, x, torch.zeros_like(x)))
    return torch.where(finite, inside, torch.where(x > 0, 0.0, -math.inf).to(x.dtype))


def _log1mexp(gap: Tensor) -> Tensor:
    """Return log(1 - exp(-gap)) for ``gap > 0``, in the form that keeps its digits."""
    endless = gap.isinf()
    safe = torch.where(endless, torch.ones_like(gap), gap).clamp(min=torch.finfo(gap.dtype).tiny)
    small = safe < math.log(2)
    low = torch.log(-torch.expm1(-torch.where(small, safe, torch.ones_like(safe))))
    high = torch.log1p(-torch.exp(-torch.where(small, torch.ones_like(safe), safe)))
    return torch.where(endless, torch.zeros_like(gap), torch.where(small, low, high))
