"""A Student t whose draws are a function of uniform noise alone."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor


class StudentT(dist.StudentT):
    """Student t with draws by Bailey's polar method: no rejection, differentiable throughout.

    For independent uniform u, v on (0, 1), sqrt(df (u^(-2/df) - 1)) cos(2 pi v) has the t law with
    df degrees of freedom (Bailey 1994, Polar generation of random variates with the
    t-distribution, Math. Comp. 62, 779-781; doi:10.1090/S0025-5718-1994-1219698-6).
    The usual ratio of a normal and a gamma draw would need noise that depends on ``df``.
    """

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch)``."""
        shape = self._extended_shape(sample_shape)
        tiny = torch.finfo(self.loc.dtype).tiny
        # -log u is a standard exponential variable. At 0 the square root has no derivative.
        e = self.loc.new_empty(shape).exponential_().clamp(min=tiny)
        angle = 2 * math.pi * self.loc.new_empty(shape).uniform_()
        radius = torch.sqrt(self.df * torch.expm1(2 * e / self.df))
        return self.loc + self.scale * radius * torch.cos(angle)

    # As in torch, without indexing by masks: that has no fixed shape, which vmap needs.

    @property
    def mean(self) -> Tensor:
        """The location; undefined for df <= 1."""
        return torch.where(self.df > 1, self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        """scale² df / (df - 2); infinite for 1 < df <= 2, undefined below."""
        df = torch.where(self.df > 2, self.df, 3.0)
        beyond = torch.where(self.df > 1, math.inf, math.nan).to(df)
        return torch.where(self.df > 2, self.scale**2 * df / (df - 2), beyond)
