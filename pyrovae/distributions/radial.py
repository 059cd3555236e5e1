"""The radial bijection, with its inverse in closed form."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Transform, constraints
from torch.nn.functional import softplus


class Radial(Transform):
    r"""z = e + β (e - c) / (α + r), r = |e - c| (Rezende & Mohamed 2015, eq. 14).

    Around the centre c space is drawn together or spread. β > -α makes it a bijection (app. A.2):
    β = -α + softplus of what is given. The inverse needs r alone, the positive root of
    r² + (α + β - r') r - α r' = 0, where r' = |z - c|.

    Parameters
    ----------
    centre
        c, ``(*batch, d)``.
    alpha, beta
        Any real numbers, ``(*batch, 1)``; α is the softplus of what is given.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, centre: Tensor, alpha: Tensor, beta: Tensor) -> None:
        super().__init__()
        self.centre, self.alpha = centre, softplus(alpha) + 1e-3
        self.beta = softplus(beta) - self.alpha

    def _call(self, x: Tensor) -> Tensor:
        away = x - self.centre
        return x + self.beta * away / (self.alpha + _length(away))

    def _inverse(self, y: Tensor) -> Tensor:
        away = y - self.centre
        far = _length(away)
        half = (self.alpha + self.beta - far) / 2
        root = torch.sqrt(half.square() + self.alpha * far)
        # Of the two forms of the root, the one without cancellation.
        r = torch.where(half > 0, self.alpha * far / (half + root), root - half)
        return self.centre + away / (1 + self.beta / (self.alpha + r))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return (d - 1) log(1 + β h) + log(1 + β h - β h² r), h = 1 / (α + r)."""
        r = _length(x - self.centre)
        h = 1 / (self.alpha + r)
        stretch = self.beta * h
        along = torch.log1p(stretch - stretch * h * r)
        return ((x.shape[-1] - 1) * torch.log1p(stretch) + along).squeeze(-1)


def _length(x: Tensor) -> Tensor:
    """Return |x|, whose gradient at 0 is 0."""
    return torch.sqrt(x.square().sum(-1, keepdim=True) + torch.finfo(x.dtype).tiny)
