"""The Sylvester bijection: bent along several directions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Transform, constraints

from pyrovae.distributions.bent import bent_root

Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Frame:
    """M orthonormal columns Q of length d, as the two products that are needed.

    Attributes
    ----------
    onto
        z ``(…, d)`` to Qᵀ z ``(…, M)``.
    back
        v ``(…, M)`` to Q v ``(…, d)``.
    """

    onto: Linear
    back: Linear


def orthogonal(raw: Tensor) -> Frame:
    """Return the frame of the columns of ``raw`` ``(*batch, d, M)``, made orthonormal."""
    columns = torch.linalg.qr(raw).Q
    return Frame(lambda z: _times(columns.mT, z), lambda v: _times(columns, v))


def householder(normals: Tensor) -> Frame:
    """Return the product of the reflections at planes with these normals, ``(*batch, H, d)``."""
    mirrors = normals.unbind(-2)

    def back(v: Tensor) -> Tensor:
        for normal in reversed(mirrors):
            v = _reflected(v, normal)
        return v

    def onto(z: Tensor) -> Tensor:
        for normal in mirrors:
            z = _reflected(z, normal)
        return z

    return Frame(onto, back)


def permuted(*, reverse: bool) -> Frame:
    """Return the identity, or the order of dimensions turned round."""
    if reverse:
        return Frame(lambda z: z.flip(-1), lambda v: v.flip(-1))
    return Frame(lambda z: z, lambda v: v)


class Sylvester(Transform):
    r"""z = e + Q R tanh(R̃ Qᵀ e + b), R and R̃ upper triangular (van den Berg et al. 2018, eq. 8).

    Their diagonals lie between -1 and 1, so that r_ii r̃_ii > -1 and the map is a bijection
    (theorem 2). The inverse goes through v = Qᵀ e from the last element to the first, one number at
    a time (arXiv:1803.05649).

    Parameters
    ----------
    frame
        Q.
    upper, upper_tilde
        Any real numbers, ``(*batch, M, M)``: what is above the diagonals counts as it is, the
        diagonals through tanh.
    bias
        b, ``(*batch, M)``.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, frame: Frame, upper: Tensor, upper_tilde: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.frame, self.bias = frame, bias
        self.outer, self.inner = _triangular(upper), _triangular(upper_tilde)

    def _bent(self, v: Tensor) -> Tensor:
        return torch.tanh(_times(self.inner, v) + self.bias)

    def _call(self, x: Tensor) -> Tensor:
        return x + self.frame.back(_times(self.outer, self._bent(self.frame.onto(x))))

    def _inverse(self, y: Tensor) -> Tensor:
        target = self.frame.onto(y)
        found: list[Tensor] = []
        bent: list[Tensor] = []
        for i in reversed(range(self.bias.shape[-1])):
            bias, y_i = self.bias[..., i], target[..., i]
            for j, (v, h) in enumerate(zip(found, bent, strict=True), start=i + 1):
                bias = bias + self.inner[..., i, j] * v
                y_i = y_i - self.outer[..., i, j] * h
            slope, rate = self.outer[..., i, i], self.inner[..., i, i]
            v_i = bent_root(*torch.broadcast_tensors(y_i, slope, bias, rate))
            found.insert(0, v_i)
            bent.insert(0, torch.tanh(rate * v_i + bias))
        return y - self.frame.back(_times(self.outer, torch.stack(bent, -1)))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum of log(1 + h'_i r_ii r̃_ii)."""
        slopes = 1 - self._bent(self.frame.onto(x)).square()
        both = self.outer.diagonal(dim1=-2, dim2=-1) * self.inner.diagonal(dim1=-2, dim2=-1)
        return torch.log1p(slopes * both).sum(-1)


#: Of a diagonal's tanh: rounding must not make the product -1.
_INSIDE = 1 - 1e-4


def _triangular(raw: Tensor) -> Tensor:
    diagonal = _INSIDE * torch.tanh(raw.diagonal(dim1=-2, dim2=-1))
    return raw.triu(1) + torch.diag_embed(diagonal)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _reflected(v: Tensor, normal: Tensor) -> Tensor:
    along = (v * normal).sum(-1, keepdim=True) / normal.square().sum(-1, keepdim=True)
    return v - 2 * along * normal
