"""A prior with the density of a normalizing flow."""

from __future__ import annotations

from typing import Annotated, Literal

import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.autoregressive import autoregressive
from pyrovae.distributions.flow import Flow as Law
from pyrovae.models.priors.base import PRIORS, Prior

_Count = Annotated[int, Field(gt=0)]


@PRIORS.register("flow")
class Flow(Prior):
    r"""A learned flow over N(0, I), in the direction in which the density of a code is one pass.

    .. math::

        \log p(z) = \log \mathcal{N}(f(z) \mid 0, I) + \log \left|\det
        \frac{\partial f}{\partial z}\right|

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    kind
        What happens to one dimension, given those before it: ``affine`` or ``spline``.
    transforms
        Number of autoregressive maps.
    hidden
        Widths of each masked network's hidden layers.
    bins
        Pieces of each spline on [-5, 5]; outside it the map is the identity.

    References
    ----------
    Chen et al. 2017, sec. 3.2; arXiv:1611.02731

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Flow
    >>> p = Flow(3, transforms=2)()
    >>> p.event_shape, p.log_prob(torch.zeros(5, 3)).shape
    (torch.Size([3]), torch.Size([5]))
    >>> p.sample((5,)).shape
    torch.Size([5, 3])
    """

    zero: Tensor

    def __init__(
        self,
        latent_dim: int,
        *,
        kind: Literal["affine", "spline"] = "spline",
        transforms: _Count = 2,
        hidden: Annotated[list[_Count], Field(min_length=1)] = [64],  # noqa: B006 - never changed
        bins: Annotated[int, Field(gt=1)] = 8,
    ) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)
        self.flow = autoregressive(
            kind, latent_dim, context=0, transforms=transforms, hidden=hidden, bins=bins
        )

    def forward(self) -> Distribution:
        """Return the law of a code that the transform takes to N(0, I)."""
        base = dist.Normal(self.zero, torch.ones_like(self.zero)).to_event(1)
        return Law(base, self.flow(None).inv)
