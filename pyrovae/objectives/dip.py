"""Objectives that make the covariance of the aggregate posterior the identity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from pyrovae.core.schedules import NotNegative, at
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective


class _Dip(Objective):
    needs = Objective.needs | {"posterior.moments", "posterior.real", "training.batch"}

    def __init__(self, off_diagonal: NotNegative, diagonal: NotNegative) -> None:
        super().__init__()
        self.off_diagonal, self.diagonal = off_diagonal, diagonal

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weights at a step."""
        return {
            "off_diagonal": at(self.off_diagonal, step),
            "diagonal": at(self.diagonal, step),
        }

    def covariance(self, q: Distribution) -> Tensor:
        """Return the covariance that is drawn to the identity, ``(latent_dim, latent_dim)``."""
        raise NotImplementedError

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative ELBO and the weighted squares of the misses."""
        covariance = self.covariance(terms.q)
        own = torch.eye(len(covariance), dtype=torch.bool, device=covariance.device)
        off = torch.where(own, 0.0, covariance).square().sum()
        miss = (covariance.diagonal() - 1).square().sum()
        penalty = hyper["off_diagonal"] * off + hyper["diagonal"] * miss
        return (terms.distortion + terms.rate).mean() + penalty + terms.shared


@OBJECTIVES.register(
    "dip_i", source="Kumar, Sattigeri & Balakrishnan 2018, eq. 6; arXiv:1711.00848"
)
class DipI(_Dip):
    """ELBO + squared distance of Cov_x(E[z|x]) from the identity.

    Parameters
    ----------
    off_diagonal, diagonal
        Weights of the two parts of the distance, or schedules of them.
    """

    def __init__(self, *, off_diagonal: NotNegative = 10.0, diagonal: NotNegative = 100.0) -> None:
        super().__init__(off_diagonal, diagonal)

    def covariance(self, q: Distribution) -> Tensor:
        """Return Cov_x(E[z|x]) over the batch."""
        return _of_means(q)


@OBJECTIVES.register(
    "dip_ii", source="Kumar, Sattigeri & Balakrishnan 2018, eq. 7; arXiv:1711.00848"
)
class DipII(_Dip):
    """ELBO + squared distance of Cov(z), z from the aggregate posterior, from the identity.

    Parameters
    ----------
    off_diagonal, diagonal
        Weights of the two parts of the distance, or schedules of them.
    """

    needs = _Dip.needs | {"posterior.covariance"}

    def __init__(self, *, off_diagonal: NotNegative = 10.0, diagonal: NotNegative = 10.0) -> None:
        super().__init__(off_diagonal, diagonal)

    def covariance(self, q: Distribution) -> Tensor:
        """Return E_x(Cov[z|x]) + Cov_x(E[z|x]) over the batch."""
        within = (
            torch.diag_embed(q.variance) if isinstance(q, Independent) else q.covariance_matrix  # type: ignore[attr-defined]
        )
        return within.mean(0) + _of_means(q)


def _of_means(q: Distribution) -> Tensor:
    centred = q.mean - q.mean.mean(0)
    return centred.T @ centred / len(centred)
