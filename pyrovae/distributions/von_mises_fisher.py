"""The von Mises-Fisher law: the normal law of the sphere."""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.distributions.around_direction import AroundDirection
from pyrovae.distributions.bessel import log_tilt, mean_cosine


class VonMisesFisher(AroundDirection):
    """Density proportional to exp(kappa loc·x) on the sphere (Davidson et al. 2018, eq. 4)."""

    def _log_ratio(self, value: Tensor) -> Tensor:
        # loc·x - 1, without cancellation for a concentrated law.
        off = -0.5 * ((value - self.loc) ** 2).sum(-1)
        return self.concentration * off - log_tilt(self.event_shape[0], self.concentration)

    def _gap(self) -> Tensor:
        d, k = self.event_shape[0], self.concentration
        b = (d - 1) / (2 * k + torch.sqrt(4 * k**2 + (d - 1) ** 2))  # Wood 1994
        return 2 * b / (1 + b)

    def _log_angle_density(self, phi: Tensor, gap: Tensor) -> Tensor:
        d = self.event_shape[0]
        denominator = gap + 2 * (1 - gap) * torch.cos(phi / 2) ** 2
        off = -2 * gap * torch.sin(phi / 2) ** 2 / denominator  # w - 1
        return (
            self.concentration.unsqueeze(-1) * off
            + (d - 2) * torch.log(torch.sin(phi))
            - (d - 1) * torch.log(denominator)
        )

    def _cosine_moments(self) -> tuple[Tensor, Tensor]:
        d = self.event_shape[0]
        first = mean_cosine(d, self.concentration)
        # E[w²] = 1 - (d - 1) A / kappa, and A / kappa is 1/d at kappa = 0.
        slope = torch.where(
            self.concentration > 1e-6, first / self.concentration.clamp(min=1e-6), 1 / d
        )
        return first, 1 - (d - 1) * slope

    def kl_from_uniform(self) -> Tensor:
        """Return kappa E[w] - log E_uniform exp(kappa w) (Davidson et al. 2018)."""
        d = self.event_shape[0]
        exact = self.concentration.double()
        kl = exact * (mean_cosine(d, exact) - 1) - log_tilt(d, exact)
        return kl.to(self.concentration.dtype)
