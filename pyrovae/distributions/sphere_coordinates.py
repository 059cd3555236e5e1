"""The unit sphere: its area, and unconstrained coordinates for samplers and autoguides.

No smooth bijection of a real space covers a sphere. So a point is given one coordinate too many:
it is u/|u|, and |u| has the law that a standard normal vector's length has, which depends on
nothing. For the uniform law ``u`` is then standard normal (Muller 1959,
https://doi.org/10.1145/377939.377946); there is no pole, no cut and no heavy tail. Draws of ``u``
give exact draws of the point, and evidences and bounds of ``u`` are those of the point.
"""

from __future__ import annotations

import math

import torch
from pyro.distributions.constraints import _Sphere
from pyro.distributions.transforms import Normalize
from torch import Tensor
from torch.distributions import Transform, biject_to, constraints, transform_to


def log_area(dim: int) -> float:
    """Return the log of the area of the unit sphere in R^dim: 2 pi^(dim/2) / Gamma(dim/2)."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


def unit(x: Tensor) -> Tensor:
    """Scale vectors to length 1."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=torch.finfo(x.dtype).tiny)


class _Directions(_Sphere):
    """Pyro's constraint to the unit sphere, under a type of its own.

    So that only laws of this package are given coordinates: Pyro leaves its own sphere without.
    """


#: The support of every law on the sphere here.
directions = _Directions()


class DirectionOf(Transform):
    """Coordinates ``(*b, d)`` to their directions.

    What stands for the log-determinant is the log-density of ``u`` relative to that of its
    direction, so that p(u) = p(z) exp(log_abs_det_jacobian(u, z)) is a density of ``u`` whenever
    p(z) is one per unit of area: the change of variables that NUTS and autoguides do. The map is
    not one-to-one: the density of z does not follow from that of ``u`` without an integral, and
    the inverse picks one ``u``, at the most frequent length.
    """

    domain = constraints.real_vector
    codomain = directions
    bijective = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectionOf)

    def _call(self, x: Tensor) -> Tensor:
        return unit(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y * math.sqrt(y.shape[-1] - 1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return log p(u) - log p(z), ``b``."""
        return log_area(x.shape[-1]) + log_standard_normal(x)


def log_standard_normal(u: Tensor) -> Tensor:
    """Return the log-density of N(0, I) at ``(*b, d)``, nats, shape ``b``."""
    return -0.5 * (u**2).sum(-1) - 0.5 * u.shape[-1] * math.log(2 * math.pi)


@biject_to.register(_Directions)
def _coordinates(constraint: _Directions) -> Transform:
    return DirectionOf()


@transform_to.register(_Directions)
def _parameters(constraint: _Directions) -> Transform:
    return Normalize()
