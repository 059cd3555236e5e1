"""The generalized normal law: a family from peaked to flat, through Laplace and normal."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all

from pyrovae.distributions.angle import angle_quantile

#: Cells for the quantile of the Gamma law: enough for p > 0.01.
_CELLS = 96
#: A logarithm: at exp(12) a density exp(-v) is 0.
_LARGEST = 12.0


class GeneralizedNormal(TorchDistribution):
    """Density proportional to exp(-|(z - loc) / scale|^p).

    p = 1 is Laplace(loc, scale), p = 2 is N(loc, scale² / 2), and large p nears the uniform law on
    loc ± scale (Nadarajah 2005, A generalized normal distribution, eq. 1;
    doi:10.1080/02664760500079464).

    Parameters
    ----------
    loc, scale, p
        Tensors that broadcast to the batch shape; ``scale`` and ``p`` positive.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "p": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Tensor, scale: Tensor, p: Tensor, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.p = broadcast_all(loc, scale, p)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: GeneralizedNormal | None = None
    ) -> GeneralizedNormal:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(GeneralizedNormal, _instance)
        new.loc, new.scale, new.p = (t.expand(batch_shape) for t in (self.loc, self.scale, self.p))
        super(GeneralizedNormal, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``batch`` or that of ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        # |0|^p has no finite derivative for p < 1; the density itself is fine there.
        distance = ((value - self.loc) / self.scale).abs().clamp(min=torch.finfo(value.dtype).tiny)
        return self._log_height() - distance**self.p

    def _log_height(self) -> Tensor:
        return torch.log(self.p / (2 * self.scale)) - torch.lgamma(1 / self.p)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)``: functions of uniform noise alone.

        Given v ~ Gamma(1 + 1/p), a number that is uniform on loc ± scale v^(1/p) has this law: the
        integral of exp(-v) over v > t^p is exp(-t^p). The Gamma number is drawn by inversion, since
        rejection takes noise that no traced step can hold.
        """
        shape = self._extended_shape(sample_shape)
        level, place = self.loc.new_empty(shape).uniform_(), self.loc.new_empty(shape).uniform_()
        p = self.p.unsqueeze(-1)

        # v as tan(phi / 2)^4: the density of phi is smooth and vanishes at both ends, for every p.
        def log_density(phi: Tensor) -> Tensor:
            log_tan = torch.log(torch.tan(phi / 2))
            # Where nothing is left of the density, its exponent must not overflow.
            v = torch.exp((4 * log_tan).clamp(max=_LARGEST))
            return (3 + 4 / p) * log_tan - 2 * torch.log(torch.cos(phi / 2)) - v

        phi = angle_quantile(log_density, level, _CELLS)
        reach = torch.exp(4 / self.p * torch.log(torch.tan(phi / 2)))
        return self.loc + self.scale * (2 * place - 1) * reach

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(z <= value)."""
        t = (value - self.loc) / self.scale
        return 0.5 + 0.5 * t.sign() * torch.special.gammainc(1 / self.p, t.abs() ** self.p)

    def entropy(self) -> Tensor:
        """Return the entropy in nats: 1/p minus the log-density at the mode."""
        return 1 / self.p - self._log_height()

    @property
    def mean(self) -> Tensor:
        """``loc``."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale² Gamma(3/p) / Gamma(1/p)."""
        return self.scale**2 * torch.exp(torch.lgamma(3 / self.p) - torch.lgamma(1 / self.p))


def unit_variance_scale(p: float) -> float:
    """Return the scale at which the generalized normal of shape ``p`` has variance 1."""
    return math.exp((math.lgamma(1 / p) - math.lgamma(3 / p)) / 2)
