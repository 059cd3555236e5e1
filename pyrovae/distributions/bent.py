"""The one number that a bent line is inverted by: a + s tanh(t a + b) = y."""

from __future__ import annotations

import torch
from torch import Tensor

#: Halvings of the bracket, then Newton steps: together exact to rounding.
_HALVINGS, _NEWTON = 20, 4


def bent_root(y: Tensor, slope: Tensor, bias: Tensor, rate: Tensor | float = 1.0) -> Tensor:
    """Return a with a + slope tanh(rate a + bias) = y, which grows with a where slope·rate > -1.

    The gradient is that of the implicit function. All shapes broadcast.
    """
    with torch.no_grad():
        low, high = y - slope.abs(), y + slope.abs()
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = middle + slope * torch.tanh(rate * middle + bias) < y
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        a = (low + high) / 2
        for _ in range(_NEWTON):
            a = torch.clamp(a - _off(a, y, slope, bias, rate), low, high)
    return a - _off(a, y, slope, bias, rate)


def _off(a: Tensor, y: Tensor, slope: Tensor, bias: Tensor, rate: Tensor | float) -> Tensor:
    t = torch.tanh(rate * a + bias)
    derivative = 1 + slope * rate * (1 - t**2)
    return (a + slope * t - y) / derivative.detach().clamp(min=1e-6)
