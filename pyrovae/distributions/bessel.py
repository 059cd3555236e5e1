"""The normaliser of exponential tilting on a sphere, for any order and any concentration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Below this argument the power series is used, above it the uniform asymptotic expansion.
_SWITCH = 30.0
#: Terms of the series: the last is below 1e-20 of the sum for arguments below the switch.
_TERMS = 64


def log_tilt(dim: int, kappa: Tensor) -> Tensor:
    """Return log E exp(kappa (w - 1)), w a coordinate of a uniform point on the sphere in R^dim.

    With v = dim/2 - 1 it is log [Gamma(v + 1) (2 / kappa)^v I_v(kappa)] - kappa, I_v the modified
    Bessel function. Power series: DLMF 10.25.2. For large kappa the uniform expansion DLMF 10.41.3
    with four terms, written in r = sqrt(v² + kappa²), where it holds for every v >= 0. Relative
    error below 1e-8; the sums are done in double precision, the result has ``kappa``'s type.

    Parameters
    ----------
    dim
        Of the space around the sphere, at least 2.
    kappa
        Non-negative, any shape.

    Returns
    -------
    Tensor
        Of ``kappa``'s shape; 0 at 0, and falling.
    """
    v = dim / 2 - 1
    exact = kappa.double()
    small = exact < _SWITCH
    low = _series(v, torch.where(small, exact, 1.0))
    high = _uniform(v, torch.where(small, _SWITCH, exact))
    return torch.where(small, low, high).to(kappa.dtype)


def _series(v: float, kappa: Tensor) -> Tensor:
    k = torch.arange(1, _TERMS + 1, dtype=kappa.dtype, device=kappa.device)
    log_denominator = torch.lgamma(k + 1) + torch.lgamma(k + v + 1) - math.lgamma(v + 1)
    log_x = 2 * torch.log(kappa.clamp(min=1e-12) / 2)
    terms = torch.exp(k * log_x.unsqueeze(-1) - log_denominator)
    return torch.log1p(terms.sum(-1)) - kappa


def _uniform(v: float, kappa: Tensor) -> Tensor:
    r = torch.sqrt(kappa**2 + v**2)
    s = (v / r) ** 2
    u1 = (3 - 5 * s) / 24
    u2 = (81 + s * (-462 + s * 385)) / 1152
    u3 = (30375 + s * (-369603 + s * (765765 - s * 425425))) / 414720
    u4 = (4465125 + s * (-94121676 + s * (349922430 + s * (-446185740 + s * 185910725)))) / 39813120
    correction = torch.log1p((u1 + (u2 + (u3 + u4 / r) / r) / r) / r)
    # r - kappa without cancellation.
    leading = v**2 / (r + kappa) + v * torch.log(2 / (v + r)) - 0.5 * torch.log(2 * math.pi * r)
    return leading + math.lgamma(v + 1) + correction


def mean_cosine(dim: int, kappa: Tensor) -> Tensor:
    """Return the mean of w under the tilt, I_{v+1}(kappa) / I_v(kappa), in [0, 1).

    As kappa / dim times the ratio of the scaled functions (DLMF 10.29.4).
    """
    exact = kappa.double()
    ratio = torch.exp(log_tilt(dim + 2, exact) - log_tilt(dim, exact))
    return (exact / dim * ratio).to(kappa.dtype)
