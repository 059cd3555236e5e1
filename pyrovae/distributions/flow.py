"""A distribution made by a bijection from a simple one, as a Pyro distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints


class Flow(TorchDistribution):
    """The law of z = transform(e), e from ``base``.

    Next to ``zuko``'s own flow distribution it knows plates (``expand``), remembers the density of
    its last draw, for which many flows need no inversion, and takes either direction as the cheap
    one.

    Parameters
    ----------
    base
        Batch ``b``, event ``(d,)``.
    transform
        A torch ``Transform`` of e to z. Has ``call_and_ladj``, as ``zuko`` gives to each of them;
        parameters that depend on the datum have batch ``b``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, base: Distribution, transform: Any, *, validate_args: bool | None = None
    ) -> None:
        self.base, self.transform = base, transform
        self._last: tuple[Tensor, Tensor] | None = None
        super().__init__(base.batch_shape, base.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: Flow | None = None) -> Flow:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(Flow, _instance)
        new.base, new.transform, new._last = self.base.expand(batch_shape), self.transform, None
        super(Flow, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, d)``."""
        noise = self.base.rsample(torch.Size(sample_shape))
        z, ladj = self.transform.call_and_ladj(noise)
        self._last = (z, self.base.log_prob(noise) - ladj)
        return z

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws without a gradient."""
        with torch.no_grad():
            z = self.rsample(sample_shape)
        self._last = None  # that density has no gradient
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats.

        For the very tensor of the last draw it is known; any other value is mapped back.
        """
        if self._last is not None and value is self._last[0]:
            return self._last[1]
        # Parameters of a map may depend on the datum: its Jacobian has their batch.
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        noise, ladj = self.transform.inv.call_and_ladj(value.expand(*batch, -1))
        return self.base.log_prob(noise) + ladj
