"""The simplex in isometric log-ratio coordinates, in which its laws are laws in R^d."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


def contrasts(parts: int) -> Tensor:
    """Return an orthonormal basis of the vectors that sum to 0, ``(parts, parts - 1)``.

    Column i sets the first i + 1 parts against the next one (Helmert; Egozcue et al. 2003,
    doi:10.1023/A:1023818214614).
    """
    basis = torch.zeros(parts, parts - 1)
    for i in range(1, parts):
        basis[:i, i - 1] = 1 / math.sqrt(i * (i + 1))
        basis[i, i - 1] = -i / math.sqrt(i * (i + 1))
    return basis


class LogRatioDirichlet(TorchDistribution):
    r"""A Dirichlet law of K parts pi = softmax(V z), as a law of their log-ratios z in R^(K-1).

    .. math::

        \log p(z) = \sum_k \alpha_k \log \pi_k - \log B(\alpha) + \tfrac{1}{2} \log K

    V has orthonormal columns that sum to 0. The density of pi has powers alpha - 1; the map's
    volume is the product of the parts times sqrt(K).

    Parameters
    ----------
    concentration
        alpha, ``(*b, K)``.
    basis
        V, ``(K, K - 1)``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    support = constraints.real_vector
    has_rsample = False

    def __init__(
        self, concentration: Tensor, basis: Tensor, *, validate_args: bool | None = None
    ) -> None:
        self.concentration, self.basis = concentration, basis
        super().__init__(
            concentration.shape[:-1],
            torch.Size((concentration.shape[-1] - 1,)),
            validate_args=validate_args,
        )

    def expand(
        self, batch_shape: torch.Size, _instance: LogRatioDirichlet | None = None
    ) -> LogRatioDirichlet:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(LogRatioDirichlet, _instance)
        new.concentration = self.concentration.expand(*batch_shape, -1)
        new.basis = self.basis
        super(LogRatioDirichlet, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density by dz, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        log_parts = torch.log_softmax(value @ self.basis.mT, -1)
        alpha = self.concentration
        log_beta = torch.lgamma(alpha).sum(-1) - torch.lgamma(alpha.sum(-1))
        return (alpha * log_parts).sum(-1) - log_beta + 0.5 * math.log(alpha.shape[-1])

    @torch.no_grad()
    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *batch, K - 1)``, by logs of Gamma numbers.

        A Gamma(a) number is a Gamma(a + 1) number times U^(1/a) (Marsaglia & Tsang 2000, sec. 6):
        its log is finite, however small a is.
        """
        alpha = self.concentration.expand(*sample_shape, *self.batch_shape, -1)
        uniform = torch.rand_like(alpha).clamp(min=torch.finfo(alpha.dtype).tiny)
        logs = torch._standard_gamma(alpha + 1).log() + uniform.log() / alpha
        return logs @ self.basis
