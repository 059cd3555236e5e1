"""The planar bijection of Pyro, with the inverse that it lacks."""

from __future__ import annotations

import torch
from pyro.distributions.transforms.planar import ConditionedPlanar
from torch import Tensor

from pyrovae.distributions.bent import bent_root


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
        a = bent_root((w * y).sum(-1, keepdim=True), slope, bias)
        x = y - u_hat * torch.tanh(a + bias)
        self._call(x)  # Pyro keeps the Jacobian of the last call beside the last pair (x, y).
        return x
