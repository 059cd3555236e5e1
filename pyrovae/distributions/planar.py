"""The planar bijection of Pyro, with the inverse that it lacks."""

from __future__ import annotations

import torch
from pyro.distributions.transforms.planar import ConditionedPlanar
from torch import Tensor

#: Halvings of the bracket, then Newton steps: together exact to rounding.
_HALVINGS, _NEWTON = 20, 4


class Planar(ConditionedPlanar):
    """z = e + u tanh(w·e + b), u bent so that w·u > -1 (Rezende & Mohamed 2015, eq. 10, app. A.1).

    The inverse needs one number only, a = w·e, from a + w·u tanh(a + b) = w·z, whose left side
    grows with a (arXiv:1505.05770).

    Parameters
    ----------
    parameters
        b ``(*batch, 1)``, u and w ``(*batch, d)``.
    """

    def __init__(self, parameters: tuple[Tensor, Tensor, Tensor]) -> None:
        super().__init__(parameters)

    def _inverse(self, y: Tensor) -> Tensor:
        bias, u, w = self._params
        u_hat = self.u_hat(u, w)
        slope = (w * u_hat).sum(-1, keepdim=True)
        target = (w * y).sum(-1, keepdim=True)
        with torch.no_grad():
            low, high = target - slope.abs(), target + slope.abs()
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                below = middle + slope * torch.tanh(middle + bias) < target
                low, high = torch.where(below, middle, low), torch.where(below, high, middle)
            a = (low + high) / 2
            for _ in range(_NEWTON):
                a = torch.clamp(a - self._off(a, bias, slope, target), low, high)
        # One more step, with a gradient: that of the implicit function.
        a = a - self._off(a, bias, slope, target)
        x = y - u_hat * torch.tanh(a + bias)
        self._call(x)  # Pyro keeps the Jacobian of the last call beside the last pair (x, y).
        return x

    @staticmethod
    def _off(a: Tensor, bias: Tensor, slope: Tensor, target: Tensor) -> Tensor:
        t = torch.tanh(a + bias)
        derivative = 1 + slope * (1 - t**2)
        return (a + slope * t - target) / derivative.detach().clamp(min=1e-6)
