"""Posterior families that bend a normal law along several directions at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.sylvester import (
    Frame,
    householder,
    orthogonal,
    permuted,
)
from pyrovae.distributions.sylvester import Sylvester as SylvesterTransform
from pyrovae.models.posteriors.base import POSTERIORS, head
from pyrovae.models.posteriors.flows import Count, OnNormal


@POSTERIORS.register("sylvester")
class Sylvester(OnNormal):
    r"""Sylvester flow: a planar flow with several hidden units in each map.

    .. math::

        z = f_K \circ \dots \circ f_1(z_0), \quad
        f(z) = z + Q R \tanh(\tilde R Q^\top z + b),
        \quad z_0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    The encoder gives R, R̃ (upper triangular) and b of each map, and what makes up Q.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension d of the code.
    kind
        What Q is. ``householder``: a product of reflections. ``orthogonal``: fewer columns than
        dimensions. ``triangular``: the identity and the reversed order in turn.
    transforms
        Number of maps.
    columns
        Of Q, at most d, for ``orthogonal`` alone: the others have d. The original: 32 of 64.
    reflections
        In each Q of ``householder``. The original has 8.

    Raises
    ------
    ConfigError
        If there are more columns than dimensions.

    References
    ----------
    van den Berg et al. 2018, sec. 3; arXiv:1803.05649

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Sylvester
    >>> q = Sylvester(16, 3, transforms=2)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        kind: Literal["householder", "orthogonal", "triangular"] = "householder",
        transforms: Count = 4,
        columns: Count | None = None,
        reflections: Count = 8,
    ) -> None:
        super().__init__(features, latent_dim)
        m = latent_dim
        if kind == "orthogonal":
            m = columns or max(1, latent_dim // 2)
        elif columns is not None:
            raise ConfigError(f"is for 'orthogonal' alone; '{kind}' has latent_dim", "columns")
        if m > latent_dim:
            raise ConfigError(f"must be at most latent_dim = {latent_dim}, got {m}", "columns")
        self.kind, self.transforms, self.m = kind, transforms, m
        of_frame = {"householder": reflections, "orthogonal": m, "triangular": 0}[kind] * latent_dim
        self._sizes = [of_frame, m * m, m * m, m]
        self.maps = head(features, transforms * sum(self._sizes))
        # A reflection needs a direction, a frame independent columns.
        torch.nn.init.normal_(self.maps.bias, std=0.3)

    def forward(self, features: Tensor) -> Distribution:
        """Return the law of a normal variable after all maps."""
        return self._chained(features, self.maps(features), self.transforms, self._map)

    def _map(self, i: int, given: Tensor) -> SylvesterTransform:
        frame, upper, tilde, bias = given.split(self._sizes, dim=-1)
        square = (self.m, self.m)
        return SylvesterTransform(
            self._frame(i, frame), upper.unflatten(-1, square), tilde.unflatten(-1, square), bias
        )

    def _frame(self, i: int, given: Tensor) -> Frame:
        if self.kind == "triangular":
            return permuted(reverse=i % 2 == 1)
        if self.kind == "orthogonal":
            return orthogonal(given.unflatten(-1, (self.latent_dim, self.m)))
        return householder(given.unflatten(-1, (-1, self.latent_dim)))
