r"""Hyperbolic space in its normal coordinates at the origin: laws there are laws in R^d.

A point of hyperbolic space, of curvature -1, is told by where the geodesic from the origin to it
sets out, and how far it is: u in R^d, |u| the distance. So every code is in real space, far points
keep their place in single precision, and all that is made for real codes holds. The points of the
two usual models are functions of u, s = |u|:

.. math::

    \text{Poincaré ball: } \tanh(s/2)\, \frac{u}{s}, \qquad
    \text{hyperboloid: } \Big(\cosh s,\; \sinh(s)\, \frac{u}{s}\Big).

Densities are by du; the volume of hyperbolic space is :math:`(\sinh(s)/s)^{d-1}\, du`. Another
curvature -c is the same space with lengths multiplied by sqrt(c): it is the scale of a prior.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Transform, constraints

#: Below this length a series takes the place of sinh(r)/r and its like.
_SMALL = 1e-3
#: Distances on the grid of a radial law: from 0 to so many standard deviations beyond its mode.
_GRID, _BEYOND = 2049, 9.0


def length(u: Tensor) -> Tensor:
    """Return |u|, ``(*b, 1)``, whose gradient at 0 is 0."""
    return torch.sqrt(u.square().sum(-1, keepdim=True) + torch.finfo(u.dtype).tiny)


def log_sinhc(r: Tensor) -> Tensor:
    """Return log(sinh(r) / r) for r >= 0; r²/6 near 0."""
    safe = r.clamp(min=_SMALL)
    large = safe + torch.log1p(-torch.exp(-2 * safe)) - torch.log(2 * safe)
    return torch.where(r < _SMALL, r.square() / 6, large)


def to_ball(u: Tensor) -> Tensor:
    """Return points of the Poincaré ball, ``(*b, d)``, of normal coordinates ``(*b, d)``."""
    s = length(u)
    return torch.tanh(s / 2) * u / s


def hyperboloid(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return points of the hyperboloid, time ``(*b, 1)`` and space ``(*b, d)``."""
    s = length(u)
    return torch.cosh(s), torch.sinh(s) * u / s


class Around(Transform):
    r"""A tangent vector at the origin to the normal coordinates of where it leads from mu.

    The vector is carried to mu along the geodesic from the origin and followed for its length r
    (Nagano et al. 2019, eqs. 4 to 6): on the Poincaré ball that is :math:`\exp_\mu(v /
    \lambda_\mu)` of Mathieu et al. 2019. With the lengths r of v and s of u the Jacobian is
    :math:`(d - 1) (\log \frac{\sinh r}{r} - \log \frac{\sinh s}{s})`.

    Parameters
    ----------
    mu
        Normal coordinates of the point, ``(*b, d)``.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, mu: Tensor) -> None:
        super().__init__()
        self.mu = mu
        self._far = length(mu)
        self._towards = mu / self._far

    def _call(self, x: Tensor) -> Tensor:
        t, r, m = self._far, length(x), self._towards
        ahead = (x * m).sum(-1, keepdim=True)
        # sinh t cosh r + cosh t sinh r cos(angle), whose terms would cancel on the way back.
        off = (x / r + m).square().sum(-1, keepdim=True) / 2
        along = torch.sinh(t - r) + torch.cosh(t) * torch.sinh(r) * off
        space = along * m + torch.sinh(r) / r * (x - ahead * m)
        sinh = length(space)
        return torch.asinh(sinh) / sinh * space

    def _inverse(self, y: Tensor) -> Tensor:
        t, s, m = self._far, length(y), self._towards
        apart = y / s - m
        # sin(angle / 2)²; all of cosh(r) - 1 is positive, so that near points are told apart.
        half = apart.square().sum(-1, keepdim=True) / 4
        above = 2 * torch.sinh((s - t) / 2).square() + 2 * torch.sinh(s) * torch.sinh(t) * half
        tiny = torch.finfo(y.dtype).tiny
        r = torch.asinh(torch.sqrt(above + tiny) * torch.sqrt(above + 2))
        along = torch.sinh(s - t) - 2 * torch.cosh(t) * torch.sinh(s) * half
        aside = torch.sinh(s) * (apart + 2 * half * m)
        return torch.exp(-log_sinhc(r)) * (along * m + aside)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the log of the volume that du has for each dv, ``b``."""
        both = log_sinhc(length(x)) - log_sinhc(length(y))
        return (x.shape[-1] - 1) * both.squeeze(-1)


class RiemannianNormal(TorchDistribution):
    r"""The law of most entropy in hyperbolic space at a given mean squared distance.

    .. math::

        p(u) \propto e^{-|u|^2 / 2 \sigma^2} \Big(\frac{\sinh |u|}{|u|}\Big)^{d-1}

    by du: by the volume of hyperbolic space it is :math:`\propto e^{-|u|^2 / 2 \sigma^2}` alone.
    What it is divided by, and the law of the distance, are sums over 2,049 distances.

    Parameters
    ----------
    scale
        sigma, 0-d.
    dim
        d.

    References
    ----------
    Said, Bombrun & Berthoumieu 2014; Mathieu et al. 2019, sec. 3.1, arXiv:1901.06033
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        scale: Tensor,
        dim: int,
        *,
        batch_shape: torch.Size = torch.Size(),  # noqa: B008 - a tuple
        validate_args: bool | None = None,
    ) -> None:
        self.scale, self.dim = scale, dim
        # The mode of the distance is near (d - 1) sigma², where exp(r) outgrows the normal law.
        end = (dim - 1) * scale.square() + _BEYOND * scale * math.sqrt(max(dim, 1))
        self._distance = end * torch.linspace(0, 1, _GRID, dtype=scale.dtype, device=scale.device)
        self._log_radial = self._log_weight(self._distance) + (dim - 1) * torch.log(
            self._distance.clamp(min=torch.finfo(scale.dtype).tiny)
        )
        step = self._distance[1] - self._distance[0]
        # Trapezia: a smooth function that is flat at both ends is summed as well as by any rule.
        ends = torch.ones_like(self._distance)
        ends[0] = ends[-1] = 0.5
        self._mass = torch.exp(self._log_radial - self._log_radial.max()) * ends
        log_total = self._log_radial.max() + torch.log(self._mass.sum() * step)
        self._log_constant = log_total + _log_sphere(dim)
        super().__init__(batch_shape, torch.Size((dim,)), validate_args=validate_args)

    def _log_weight(self, r: Tensor) -> Tensor:
        return -r.square() / (2 * self.scale.square()) + (self.dim - 1) * log_sinhc(r)

    def expand(
        self, batch_shape: torch.Size, _instance: RiemannianNormal | None = None
    ) -> RiemannianNormal:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(RiemannianNormal, _instance)
        for name in ("scale", "dim", "_distance", "_log_radial", "_mass", "_log_constant"):
            setattr(new, name, getattr(self, name))
        super(RiemannianNormal, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density by du, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        found = self._log_weight(length(value)).squeeze(-1) - self._log_constant
        return found.expand(torch.broadcast_shapes(found.shape, self.batch_shape))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, d)``: a direction, and a distance by its law."""
        shape = self._extended_shape(sample_shape)
        towards = self.scale.new_empty(shape).normal_()
        below = self.scale.new_empty((*shape[:-1], 1)).uniform_()
        steps = torch.cumulative_trapezoid(self._density())
        cumulative = torch.cat([steps.new_zeros(1), steps]) / steps[-1]
        place = torch.searchsorted(cumulative, below.contiguous()).clamp(1, _GRID - 1)
        low, high = cumulative[place - 1], cumulative[place]
        share = (below - low) / (high - low).clamp(min=torch.finfo(below.dtype).tiny)
        start, end = self._distance[place - 1], self._distance[place]
        return (start + share * (end - start)) * towards / length(towards)

    def _density(self) -> Tensor:
        """Return the law of the distance on the grid, but for a factor."""
        return torch.exp(self._log_radial - self._log_radial.max())


def _log_sphere(dim: int) -> float:
    """Return the log of the area of the unit sphere in R^d; of its two points in R^1."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
