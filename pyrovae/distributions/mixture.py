"""A mixture whose support has coordinates, which samplers and autoguides of Pyro ask for."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
from torch.distributions import constraints


class Mixture(dist.MixtureSameFamily):
    """A mixture of laws that all have one support: the mixture's own.

    Components may have supports that differ, as uniform laws do, so that ``torch`` gives every
    mixture a constraint that ``biject_to`` and ``transform_to`` do not know. Here they have the
    same, and it does not depend on parameters.
    """

    @constraints.dependent_property
    def support(self) -> Any:
        """That of the components."""
        return self.component_distribution.support

    def __repr__(self) -> str:
        parts = f"{self.mixture_distribution}, {self.component_distribution}"
        return f"{type(self).__name__}({parts})"
