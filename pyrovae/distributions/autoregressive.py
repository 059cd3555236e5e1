"""Autoregressive bijections from ``zuko``, set up to start as the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.distributions import Distribution

_validated = Distribution._validate_args
import zuko  # noqa: E402 - see below

# Importing zuko turns argument checks off for every torch distribution in the process.
Distribution.set_default_validate_args(_validated)


def autoregressive(
    univariate: Literal["affine", "spline"],
    dim: int,
    *,
    context: int,
    transforms: int,
    hidden: Sequence[int],
    bins: int = 8,
) -> nn.Module:
    """Return a module: a context ``(*b, context)``, or ``None``, to a torch ``Transform``.

    One pass of each masked network gives ``transform(x)`` and its Jacobian; the inverse takes
    ``dim`` passes. The order of the dimensions is reversed from one transform to the next.

    Parameters
    ----------
    univariate
        What happens to one dimension, given those before it: an affine map (Papamakarios,
        Pavlakou & Murray 2017, arXiv:1705.07057) or a monotone rational-quadratic spline on
        [-5, 5], the identity outside (Durkan et al. 2019, arXiv:1906.04032).
    dim
        Dimensions.
    context
        Width of the context; 0 for none.
    transforms
        How many in a row.
    hidden
        Widths of each masked network's hidden layers.
    bins
        Of each spline.
    """
    device = torch.get_default_device()
    common = {"context": context, "transforms": transforms, "hidden_features": list(hidden)}
    # Masks are worked out from values, which the meta device has none of.
    with torch.device("cpu"):
        if univariate == "affine":
            flow = zuko.flows.MAF(dim, **common)
        else:
            flow = zuko.flows.NSF(dim, bins=bins, **common)
    with torch.no_grad():
        for transform in flow.transform.transforms:
            # One dimension without context has free parameters in place of a network.
            last = (
                transform.hyper[-1].parameters() if hasattr(transform, "hyper") else transform.phi
            )
            for parameter in last:
                parameter.mul_(0.01)
    return flow.transform.to(device)
