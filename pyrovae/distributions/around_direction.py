"""What laws on the sphere that spread evenly around a direction share."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pyro.distributions.constraints as constraints
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import register_kl

from pyrovae.distributions.angle import angle_quantile
from pyrovae.distributions.sphere import HypersphericalUniform
from pyrovae.distributions.sphere_coordinates import directions, log_area, unit


class AroundDirection(TorchDistribution):
    """A law on the sphere whose density depends on the angle to a direction alone.

    Parameters
    ----------
    loc
        Unit vectors, ``(*batch, d)``, d >= 2.
    concentration
        Non-negative, ``batch``; at 0 the law is uniform.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.sphere,
        "concentration": constraints.nonnegative,
    }
    support = directions
    has_rsample = True

    def __init__(
        self, loc: Tensor, concentration: Tensor, *, validate_args: bool | None = None
    ) -> None:
        batch = torch.broadcast_shapes(loc.shape[:-1], concentration.shape)
        self.loc = loc.expand(*batch, loc.shape[-1])
        self.concentration = concentration.expand(batch)
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: AroundDirection | None = None
    ) -> AroundDirection:
        """Return the same law with a larger batch shape."""
        new: Any = self._get_checked_instance(type(self), _instance)
        new.loc = self.loc.expand(*batch_shape, *self.event_shape)
        new.concentration = self.concentration.expand(batch_shape)
        TorchDistribution.__init__(
            new, torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density per unit of area, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return self._log_ratio(value) - log_area(self.event_shape[0])

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, d)``.

        The cosine by inversion, the direction across uniformly, then a rotation of the first axis
        onto ``loc`` (Davidson et al. 2018, algorithm 1, arXiv:1804.00891, with inversion in place
        of rejection).
        """
        shape = self._extended_shape(sample_shape)
        u = self.loc.new_empty(shape[:-1]).uniform_()
        across = unit(self.loc.new_empty(*shape[:-1], shape[-1] - 1).normal_())
        cosine, sine = self._cosine(u)
        around_axis = torch.cat([cosine.unsqueeze(-1), sine.unsqueeze(-1) * across], -1)
        return unit(_rotate_first_axis(around_axis, self.loc))

    def _cosine(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of the angle between ``loc`` and a draw, from uniform noise.

        The cosine is w = (a + c) / (1 + a c), c = cos(phi): a map of [-1, 1] onto itself whose
        ``a`` keeps the law of phi broad and smooth for every concentration. For von Mises-Fisher
        it is the one that Wood 1994 (doi:10.1080/03610919408813161) takes proposals through.
        """
        d = self.event_shape[0]
        gap = self._gap().detach()  # 1 - a, which may be tiny
        a = 1 - gap
        cells = max(32, math.ceil(4 * math.sqrt(d)))

        def log_density(phi: Tensor) -> Tensor:
            return self._log_angle_density(phi, gap.unsqueeze(-1))

        phi = angle_quantile(log_density, u, cells)
        denominator = gap + 2 * a * torch.cos(phi / 2) ** 2  # 1 + a c
        cosine = 1 - 2 * gap * torch.sin(phi / 2) ** 2 / denominator
        sine = torch.sqrt(gap * (1 + a)) * torch.sin(phi) / denominator
        return cosine, sine

    def _log_ratio(self, value: Tensor) -> Tensor:
        """Return the log-density relative to the uniform law."""
        raise NotImplementedError

    def _gap(self) -> Tensor:
        """Return 1 - a, in (0, 1], shape ``batch``."""
        raise NotImplementedError

    def _log_angle_density(self, phi: Tensor, gap: Tensor) -> Tensor:
        """Return the unnormalised log-density of phi, ``(*s, *batch, m)``."""
        raise NotImplementedError

    def _cosine_moments(self) -> tuple[Tensor, Tensor]:
        """Return E[w] and E[w²] of the cosine w, shape ``batch``."""
        raise NotImplementedError

    def kl_from_uniform(self) -> Tensor:
        """Return KL(self || uniform) in nats, shape ``batch``."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """Return the entropy in nats, relative to the area; shape ``batch``."""
        return log_area(self.event_shape[0]) - self.kl_from_uniform()

    @property
    def mean(self) -> Tensor:
        """E[w] times ``loc``: inside the sphere."""
        return self._cosine_moments()[0].unsqueeze(-1) * self.loc

    @property
    def variance(self) -> Tensor:
        """Var(w) along ``loc``, E[1 - w²] / (d - 1) in each direction across."""
        first, second = (moment.unsqueeze(-1) for moment in self._cosine_moments())
        across = (1 - second) / (self.event_shape[0] - 1)
        return self.loc**2 * (second - first**2) + (1 - self.loc**2) * across


@register_kl(AroundDirection, HypersphericalUniform)
def _kl_from_uniform(q: AroundDirection, p: HypersphericalUniform) -> Tensor:
    return q.kl_from_uniform()


def _rotate_first_axis(x: Tensor, to: Tensor) -> Tensor:
    """Map ``x`` by an isometry that takes the first axis e to the unit vector ``to``.

    The reflection that takes e to -to, then a change of sign, where e·to > 0, and the reflection
    that takes e to ``to`` elsewhere: neither divides by a small number.
    """
    first = to[..., :1]
    sign = torch.where(first > 0, 1.0, -1.0)
    axis = torch.cat([first + sign, to[..., 1:]], -1)
    along = (x * axis).sum(-1, keepdim=True)
    return sign * (along / (1 + first.abs()) * axis - x)
