"""One-dimensional marginals of a distribution over vectors.

Collapse is a statement about single latent dimensions: it compares ``q(z_u|x)`` with ``p(z_u)``.
Families with dependent dimensions register here how to get there.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import pyro.distributions as dist
import torch
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)


@singledispatch
def marginals(distribution: Distribution) -> Distribution:
    """Return the marginals of a distribution with event shape ``(d,)``.

    Parameters
    ----------
    distribution
        Batch shape ``b``, event shape ``(d,)``.

    Returns
    -------
    Distribution
        Batch shape ``(*b, d)``, scalar events: dimension ``u`` is the law of ``z_u``.

    Raises
    ------
    NotImplementedError
        If the family has no known marginals; collapse measures then use samples.
    """
    raise NotImplementedError(f"{type(distribution).__name__} has no known marginals")


@marginals.register
def _(distribution: Independent) -> Distribution:
    if distribution.reinterpreted_batch_ndims != 1:
        raise NotImplementedError("marginals are defined for vectors: one event dimension")
    return distribution.base_dist


@marginals.register(MultivariateNormal)
@marginals.register(LowRankMultivariateNormal)
def _(distribution: MultivariateNormal | LowRankMultivariateNormal) -> Distribution:
    return dist.Normal(distribution.loc, distribution.variance.sqrt())


@marginals.register
def _(distribution: MixtureSameFamily) -> Distribution:
    # The components' marginals have batch (*b, K, d); a mixture wants its components last.
    parts = marginals(distribution.component_distribution)
    logits = distribution.mixture_distribution.logits
    d = distribution.event_shape[-1]
    mixing = dist.Categorical(logits=logits.unsqueeze(-2).expand(*logits.shape[:-1], d, -1))
    return dist.MixtureSameFamily(mixing, _swap_last_batch_dims(parts))


def is_standard_normal(distribution: Distribution) -> bool:
    """Return whether a law of vectors is N(0, I)."""
    try:
        law = marginals(distribution)
    except NotImplementedError:
        return False
    return (
        isinstance(distribution, Independent)
        and isinstance(law, Normal)
        and bool((law.loc == 0).all() and (law.scale == 1).all())
    )


def _swap_last_batch_dims(distribution: Distribution) -> Distribution:
    if not distribution.arg_constraints:
        raise NotImplementedError("a mixture of mixtures: its parameters are not tensors")
    parameters = {
        name: torch.as_tensor(getattr(distribution, name))
        .expand(distribution.batch_shape)
        .transpose(-1, -2)
        for name in distribution.arg_constraints
        if name in vars(distribution)
    }
    family: Any = type(distribution)
    return family(**parameters)
