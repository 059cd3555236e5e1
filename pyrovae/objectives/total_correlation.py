"""The rate in three parts, with the total correlation weighted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from pyrovae.core.schedules import NotNegative, at
from pyrovae.distributions import marginals
from pyrovae.models.sites import Terms, weighted
from pyrovae.objectives.base import OBJECTIVES, Objective


def decompose(
    terms: Terms, estimator: Literal["weighted", "stratified"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return information, total correlation and dimension-wise KL at the samples, ``(n,)`` each.

    log q(z|x) - log q(z), log q(z) - sum_u log q(z_u), sum_u log q(z_u) - log p(z): they sum to
    log q(z|x) - log p(z) whatever the estimate of q(z) is (Chen et al. 2018, eq. 2;
    arXiv:1802.04942). Each is weighted as the latent site is; q(z) is that of all data.

    Parameters
    ----------
    terms
        Of a minibatch, one sample each.
    estimator
        Of q(z) from the minibatch: ``weighted`` (eq. 3) or ``stratified`` (appendix C.2).
    """
    q, z = terms.q, terms.z
    places = z.unsqueeze(1)  # against every datum's posterior
    log_weights = _log_weights(len(z), terms.data_size, estimator, z)
    log_qz = (q.log_prob(places) + log_weights).logsumexp(1)
    each = marginals(q).log_prob(places) + log_weights.unsqueeze(-1)  # (n, n, latent_dim)
    log_product = each.logsumexp(1).sum(-1)
    site, _ = terms.local[0]
    return (
        weighted(q.log_prob(z) - log_qz, site),
        weighted(log_qz - log_product, site),
        weighted(log_product - terms.p.log_prob(z), site),
    )


def _log_weights(n: int, data_size: int, estimator: str, like: Tensor) -> Tensor:
    """Return the log weight of datum j in the estimate of q(z_i), ``(n, n)``."""
    size = max(data_size, n)
    if estimator == "weighted":
        return like.new_full((n, n), -math.log(n * size))
    # z_i is from datum i, one of N; the other n - 1 are a sample of the other N - 1. (Code that is
    # widely copied gives datum 1 the weight 1/N in every row, where the paper has datum i.)
    others = n - 1
    own = torch.eye(n, dtype=torch.bool, device=like.device)
    weights = torch.where(own, 1 / size, like.new_full((n, n), 1 / others))
    weights = torch.where(own.roll(1, 1), (size - others) / (size * others), weights)
    return weights.log()


@OBJECTIVES.register("beta_tc")
class BetaTC(Objective):
    r"""Distortion + alpha × information + beta × total correlation + gamma × dimension-wise KL.

    .. math::

        \mathcal{L} = D + \alpha\, I_q(x; z) + \beta\,
        \mathrm{KL}\left(q(z) \,\|\, \textstyle\prod_u q(z_u)\right) + \gamma \sum_u
        \mathrm{KL}(q(z_u) \,\|\, p(z_u))

    Parameters
    ----------
    alpha, beta, gamma
        Weights, or schedules of them; at 1 they are the ELBO.
    estimator
        Of the aggregate posterior: ``weighted``, on average too low, by log n where all n data are
        in the minibatch (gradients do not see a constant), or ``stratified``.

    References
    ----------
    Chen et al. 2018, eq. 4; arXiv:1802.04942

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import BetaTC
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = BetaTC(beta=1.0)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> sampled = terms.q.log_prob(terms.z) - terms.p.log_prob(terms.z)
    >>> torch.allclose(loss, (terms.distortion + sampled).mean(), atol=1e-4)  # the ELBO
    True
    """

    needs = Objective.needs | {"posterior.marginals", "training.batch", "code.flat"}

    def __init__(
        self,
        *,
        beta: NotNegative = 6.0,
        alpha: NotNegative = 1.0,
        gamma: NotNegative = 1.0,
        estimator: Literal["weighted", "stratified"] = "weighted",
    ) -> None:
        super().__init__()
        self.weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
        self.estimator = estimator

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weights at a step."""
        return {name: at(weight, step) for name, weight in self.weights.items()}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum, averaged over the batch."""
        information, correlation, dimensions = decompose(terms, self.estimator)
        rate = (
            hyper["alpha"] * information + hyper["beta"] * correlation + hyper["gamma"] * dimensions
        )
        return (terms.distortion + rate).mean() + terms.shared
