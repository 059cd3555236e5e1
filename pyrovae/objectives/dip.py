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
    needs = Objective.needs | {"posterior.moments", "posterior.real", "training.batch", "code.flat"}

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


@OBJECTIVES.register("dip_i")
class DipI(_Dip):
    r"""ELBO + squared distance of Cov_x(E[z|x]) from the identity.

    .. math::

        \mathcal{L} = D + R + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii}
        - 1)^2, \quad C = \mathrm{Cov}_x(\mathbb{E}[z \mid x])

    Parameters
    ----------
    off_diagonal, diagonal
        Weights of the two parts of the distance, or schedules of them.

    References
    ----------
    Kumar, Sattigeri & Balakrishnan 2018, eq. 6; arXiv:1711.00848

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import DipI
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = DipI()
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> found = objective.covariance(terms.q)
    >>> torch.allclose(found, torch.cov(terms.q.mean.T, correction=0))
    True
    """

    def __init__(self, *, off_diagonal: NotNegative = 10.0, diagonal: NotNegative = 100.0) -> None:
        super().__init__(off_diagonal, diagonal)

    def covariance(self, q: Distribution) -> Tensor:
        """Return Cov_x(E[z|x]) over the batch."""
        return _of_means(q)


@OBJECTIVES.register("dip_ii")
class DipII(_Dip):
    r"""ELBO + squared distance of Cov(z), z from the aggregate posterior, from the identity.

    .. math::

        \mathcal{L} = D + R + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii}
        - 1)^2, \quad C = \mathbb{E}_x \mathrm{Cov}[z \mid x] + \mathrm{Cov}_x(\mathbb{E}[z \mid x])

    Parameters
    ----------
    off_diagonal, diagonal
        Weights of the two parts of the distance, or schedules of them.

    References
    ----------
    Kumar, Sattigeri & Balakrishnan 2018, eq. 7; arXiv:1711.00848

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import DipII
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = DipII()
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> found, within = objective.covariance(terms.q), terms.q.variance.mean(0).diag()
    >>> torch.allclose(found, torch.cov(terms.q.mean.T, correction=0) + within)
    True
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
