"""The aggregate posterior drawn to the prior by maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.schedules import NotNegative, Number, Within, at, values
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective

#: A kernel that is 1 at distance 0, of squared distances and a squared width.
Kernel = Callable[[Tensor, Tensor], Tensor]


def gaussian_kernel(squares: Tensor, width: Tensor) -> Tensor:
    """Return exp(-|a - b|² / s²)."""
    return torch.exp(-squares / width)


def squared_mmd(z: Tensor, reference: Tensor, kernel: Kernel = gaussian_kernel) -> Tensor:
    """Return an unbiased estimate of the squared maximum mean discrepancy of two laws.

    Gretton et al. 2012, eq. 3 (JMLR 13), with a kernel of width s², the mean squared distance of
    two reference draws: 2 d for N(0, I).

    Parameters
    ----------
    z, reference
        Draws, ``(n, d)`` and ``(m, d)``.
    kernel
        Of which the discrepancy is.
    """
    n, m = len(z), len(reference)
    width = _distances(reference, reference).sum().detach() / (m * (m - 1))
    own = kernel(_distances(z, z), width).sum() - n
    theirs = kernel(_distances(reference, reference), width).sum() - m
    between = kernel(_distances(z, reference), width).mean()
    return own / (n * (n - 1)) + theirs / (m * (m - 1)) - 2 * between


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1)


@OBJECTIVES.register("info")
class Info(Objective):
    r"""Distortion + (1 - alpha) × rate + (alpha + weight - 1) × MMD(q(z), p(z)).

    .. math:: \mathcal{L} = D + (1 - \alpha) R + (\alpha + \lambda - 1)\, \mathrm{MMD}(q(z), p(z))

    Parameters
    ----------
    alpha
        Weight of the information between data and code, or a schedule of it: at 1 the rate is free.
    weight
        The original's lambda, or a schedule of it: of the divergence of the codes from the prior.

    References
    ----------
    Zhao, Song & Ermon 2019; arXiv:1706.02262

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Info
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Info(alpha=0.0, weight=1.0)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> torch.allclose(loss, (terms.distortion + terms.rate).mean())  # the ELBO
    True
    """

    needs = Objective.needs | {"prior.reparameterizable", "training.batch", "code.flat"}

    def __init__(
        self,
        *,
        alpha: Annotated[Number, Within(ge=0, le=1)] = 0.0,
        weight: NotNegative = 1000.0,
    ) -> None:
        super().__init__()
        if min(values(alpha)) + min(values(weight)) < 1:
            raise ConfigError(
                "objective 'info': alpha + weight must not fall below 1, or codes far from the "
                "prior are rewarded",
                "weight",
            )
        self.alpha, self.weight = alpha, weight

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return alpha and the weight at a step."""
        return {"alpha": at(self.alpha, step), "weight": at(self.weight, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum."""
        divergence = squared_mmd(terms.z, terms.p.rsample())
        bound = (terms.distortion + (1 - hyper["alpha"]) * terms.rate).mean()
        return bound + (hyper["alpha"] + hyper["weight"] - 1) * divergence + terms.shared
