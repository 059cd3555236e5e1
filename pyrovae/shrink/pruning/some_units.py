"""The law of some of a vector's elements, where it is one of the same family."""

from __future__ import annotations

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal

from pyrovae.core.errors import PyrovaeError


def restricted_law(law: Distribution, keep: Tensor) -> Distribution:
    """Return the law of some of a vector's elements."""
    if isinstance(law, MultivariateNormal):
        covariance = law.covariance_matrix[..., keep, :][..., keep]
        return pyro.distributions.MultivariateNormal(law.loc[..., keep], covariance)
    if isinstance(law, Independent) and law.reinterpreted_batch_ndims == 1:
        base = law.base_dist
        named = [name for name in base.arg_constraints if name in vars(base)]
        if named and not base.event_shape:
            chosen = {
                name: torch.as_tensor(getattr(base, name)).expand(base.batch_shape)[..., keep]
                for name in named
            }
            return type(base)(**chosen).to_event(1)
    raise PyrovaeError(
        f"cannot prune: {type(law).__name__} is not known to be closed under marginals: without "
        "some of its dimensions it is another law"
    )
