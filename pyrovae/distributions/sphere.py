"""The uniform law on the unit sphere."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from pyrovae.distributions.sphere_coordinates import directions, log_area, unit


class HypersphericalUniform(TorchDistribution):
    """The uniform law on the unit sphere S^(d-1) in R^d.

    Parameters
    ----------
    like
        A tensor of shape ``(*batch, d)``: its device and type are those of the draws.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = directions
    has_rsample = True

    def __init__(self, like: Tensor, *, validate_args: bool | None = None) -> None:
        self._like = like
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=validate_args)

    def expand(
        self, batch_shape: torch.Size, _instance: HypersphericalUniform | None = None
    ) -> HypersphericalUniform:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(HypersphericalUniform, _instance)
        new._like = self._like.expand(*batch_shape, *self.event_shape)
        super(HypersphericalUniform, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return minus the log of the area."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return value.new_full(shape, -log_area(self.event_shape[0]))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, d)``: normal vectors, scaled to length 1."""
        return unit(self._like.new_empty(self._extended_shape(sample_shape)).normal_())

    def entropy(self) -> Tensor:
        """Return the log of the area, in nats; shape ``batch``."""
        return self._like.new_full(self.batch_shape, log_area(self.event_shape[0]))

    @property
    def mean(self) -> Tensor:
        """The centre of the sphere."""
        return torch.zeros_like(self._like)

    @property
    def variance(self) -> Tensor:
        """1/d in each coordinate."""
        return torch.full_like(self._like, 1 / self.event_shape[0])
