"""Laws moved and stretched, of the family that they were."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributions import Distribution


def located(law: Distribution, loc: Tensor, scale: Tensor) -> Distribution:
    """Return the law of ``loc + scale × z`` for z of a law with independent coordinates.

    Parameters
    ----------
    law
        An ``Independent`` of a family with ``loc`` and ``scale``: batch ``()``, event ``(d,)``.
    loc, scale
        ``(*b, d)``; ``scale`` is positive.

    Returns
    -------
    Distribution
        Batch ``b``, event ``(d,)``: of the same family, so that closed forms stay closed.

    Examples
    --------
    >>> import pyro.distributions as dist, torch
    >>> law = dist.Laplace(torch.zeros(3), torch.ones(3)).to_event(1)
    >>> moved = located(law, torch.ones(5, 3), torch.full((5, 3), 2.0))
    >>> moved.batch_shape, moved.base_dist.scale[0]
    (torch.Size([5]), tensor([2., 2., 2.]))
    """
    base: Any = law.base_dist  # type: ignore[attr-defined]
    others = {
        name: getattr(base, name).expand_as(loc)
        for name in base.arg_constraints
        if name in vars(base) and name not in ("loc", "scale")
    }
    family: Any = type(base)
    moved = family(
        loc=loc + scale * base.loc, scale=scale * base.scale, **others, validate_args=False
    )
    return moved.to_event(1)
