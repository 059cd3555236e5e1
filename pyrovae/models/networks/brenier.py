"""Brenier maps: gradients of strongly convex functions, which are invertible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, sigmoid, softplus


class BrenierMap(nn.Module):
    r"""The gradient of a strongly convex potential: a map of R^d onto itself that has an inverse.

    .. math::

        T(z) = \nabla\Big(\frac{L}{2} |z|^2 + w^\top h_K\Big), \quad
        h_1 = s(A_1 z + b_1), \; h_{k+1} = s(U_k h_k + A_{k+1} z + b_{k+1}), \quad U_k, w \ge 0

    s is softplus. The potential is an input-convex network (Amos, Xu & Kolter 2017, eq. 2;
    arXiv:1609.07152); its gradient is worked out here backwards through the layers, so that no
    automatic derivative has to be taken inside a loss. Strong convexity gives

    .. math:: (T(z) - T(z'))^\top (z - z') \ge L\, |z - z'|^2.

    Parameters
    ----------
    dim
        d.
    hidden
        Widths of the layers h; at least one.
    strength
        L, above 0: ``|T(z) - T(z')| >= L |z - z'|``.

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks.brenier import BrenierMap
    >>> T, z = BrenierMap(3, [16], strength=0.5), torch.randn(100, 3)
    >>> T(z).shape
    torch.Size([100, 3])
    >>> bool((torch.pdist(T(z)) >= 0.5 * torch.pdist(z)).all())
    True
    """

    def __init__(self, dim: int, hidden: Sequence[int], strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.reads = nn.ModuleList(nn.Linear(dim, width) for width in hidden)
        #: Softplus makes U of these; it starts near 1 / width.
        self.raw = nn.ParameterList(
            math.log(math.expm1(1 / inputs)) + 0.1 * torch.randn(outputs, inputs)
            for inputs, outputs in pairwise(hidden)
        )
        #: And w, which starts near 1.
        self.raw_weight = nn.Parameter(math.log(math.expm1(1)) + 0.1 * torch.randn(hidden[-1]))

    def forward(self, z: Tensor) -> Tensor:
        """Return T(z), ``(*b, d)`` like z."""
        mixing = [softplus(raw) for raw in self.raw]
        slopes: list[Tensor] = []
        h: Tensor | None = None
        for k, read in enumerate(self.reads):
            given = read(z) if h is None else read(z) + linear(h, mixing[k - 1])
            h = softplus(given)
            slopes.append(sigmoid(given))  # the derivative of softplus
        gradient = self.strength * z
        # Of the potential by what each layer is given, from the last to the first.
        down = softplus(self.raw_weight) * slopes[-1]
        for k in range(len(slopes) - 1, -1, -1):
            gradient = gradient + linear(down, self.reads[k].weight.mT)  # type: ignore[arg-type]
            if k:
                down = linear(down, mixing[k - 1].mT) * slopes[k - 1]
        return gradient

    def inverse(self, y: Tensor, *, steps: int = 100) -> Tensor:
        """Return the z of T(z) = y, ``(*b, d)``, by Newton's method on the convex potential.

        Parameters
        ----------
        y
            Anywhere in R^d.
        steps
            At most so many, each with a Jacobian of d passes; halved until the miss falls.
        """
        flat = y.reshape(-1, y.shape[-1])
        z = torch.zeros_like(flat)
        jacobian = torch.func.vmap(torch.func.jacfwd(self.forward))
        miss = self(z) - flat
        for _ in range(steps):
            step = torch.linalg.solve(jacobian(z), miss)
            size = torch.ones_like(miss[:, :1])
            for _ in range(30):
                tried = self(z - size * step) - flat
                worse = tried.norm(dim=1, keepdim=True) > (1 - 1e-4 * size) * miss.norm(
                    dim=1, keepdim=True
                )
                if not worse.any():
                    break
                size = torch.where(worse, size / 2, size)
            moved = z - size * step
            found = self(moved) - flat
            better = found.norm(dim=1, keepdim=True) < miss.norm(dim=1, keepdim=True)
            if not better.any():
                break
            z, miss = torch.where(better, moved, z), torch.where(better, found, miss)
        return z.reshape(y.shape)
