"""The power spherical law: like von Mises-Fisher, with elementary normaliser and entropy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyrovae.distributions.around_direction import AroundDirection


class PowerSpherical(AroundDirection):
    """Density proportional to (1 + loc·x)^kappa (De Cao & Aziz 2020, eq. 5; arXiv:2006.04437)."""

    def _beta(self) -> tuple[Tensor, float]:
        """Return the parameters of the Beta law that (1 + w) / 2 has."""
        half = (self.event_shape[0] - 1) / 2
        return half + self.concentration, half

    def _log_norm(self) -> Tensor:
        """Return the log of the mean of ((1 + w) / 2)^kappa over the sphere."""
        alpha, beta = self._beta()
        exact = alpha.double()  # the difference of two large numbers
        at_zero = math.lgamma(2 * beta) - math.lgamma(beta)
        return (torch.lgamma(exact) - torch.lgamma(exact + beta) + at_zero).to(alpha.dtype)

    def _log_ratio(self, value: Tensor) -> Tensor:
        # (1 + loc·x) / 2 as a square: exact near the antipode, where it vanishes.
        half = 0.25 * ((value + self.loc) ** 2).sum(-1)
        tiny = torch.finfo(value.dtype).tiny
        return self.concentration * torch.log(half.clamp(min=tiny)) - self._log_norm()

    def _gap(self) -> Tensor:
        alpha, beta = self._beta()
        return 2 * beta / (alpha + beta)

    def _log_angle_density(self, phi: Tensor, gap: Tensor) -> Tensor:
        alpha, beta = self._beta()
        alpha = alpha.unsqueeze(-1)
        denominator = gap + 2 * (1 - gap) * torch.cos(phi / 2) ** 2
        return (
            (2 * alpha - 1) * torch.log(torch.cos(phi / 2))
            + (2 * beta - 1) * torch.log(torch.sin(phi / 2))
            - (alpha + beta) * torch.log(denominator)
        )

    def _cosine_moments(self) -> tuple[Tensor, Tensor]:
        alpha, beta = self._beta()
        total = alpha + beta
        first = (alpha - beta) / total
        return first, first**2 + 4 * alpha * beta / (total**2 * (total + 1))

    def kl_from_uniform(self) -> Tensor:
        """Return kappa E[log((1 + w) / 2)] - log of its mean over the sphere."""
        alpha, beta = self._beta()
        exact = alpha.double()
        mean_log = (torch.digamma(exact) - torch.digamma(exact + beta)).to(alpha.dtype)
        return self.concentration * mean_log - self._log_norm()
