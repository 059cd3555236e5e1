"""The importance-weighted bound for codes of labels, whose draws have no derivatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from pyrovae.core.given import Data
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms, fixed_log_prob
from pyrovae.objectives.base import EXPECTATIONS, OBJECTIVES, Objective


@OBJECTIVES.register("vimco")
class Vimco(Objective):
    r"""The bound of ``iwae`` for labels: score-function gradients with a baseline for each draw.

    .. math::

        \mathcal{L} = -\mathbb{E}\, \hat L, \quad \hat L = \log \frac{1}{K} \sum_{k=1}^K w_k, \quad
        \nabla \mathcal{L} = -\mathbb{E} \sum_{k=1}^K \bigl( (\hat L - \hat L_{-k})\,
        \nabla \log q(z_k \mid x) + \tilde w_k \nabla \log w_k \bigr)

    w_k is p(x, z_k) / q(z_k|x), and :math:`\tilde w_k` its share of the sum. :math:`\hat L_{-k}` is
    the bound with w_k replaced by the geometric mean of the others, which does not depend on z_k:
    the gradient has no bias.

    Parameters
    ----------
    particles
        Number K of codes for each datum.

    References
    ----------
    Mnih & Rezende 2016, eq. 9-10; arXiv:1602.06725

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Vimco
    >>> labels = {"name": "bernoulli", "gradient": "score"}
    >>> vae = pyrovae.build((4,), latent_dim=2, prior="bernoulli", posterior=labels)
    >>> loss, terms = Vimco(particles=8)(vae, torch.rand(16, 4), {}, data_size=16)
    >>> torch.allclose(loss, -terms.log_weight.exp().mean(0).log().mean(), rtol=1e-4)
    True
    """

    needs = EXPECTATIONS | {"posterior.scored"}
    hint = "'gradient: score' of the posteriors of labels draws them"

    def __init__(self, *, particles: Annotated[int, Field(gt=1)] = 8) -> None:
        super().__init__()
        self.samples = particles

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return a loss with the bound's value and the gradient above, and the terms."""
        found = vae.drawn_terms(x, samples=self.samples, data_size=data_size)
        return self.loss(found, hyper), found

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative bound, averaged over the batch."""
        log_q = fixed_log_prob(terms)
        log_weight = -(terms.distortion + terms.log_ratio.reshape(log_q.shape))
        signal = learning_signals(log_weight.detach())
        bound = log_weight.logsumexp(0) - math.log(self.samples)
        score = (signal * (log_q - log_q.detach())).sum(0)
        return terms.shared - (bound + score).mean()


def learning_signals(log_weight: Tensor) -> Tensor:
    """Return by how much each draw raises the bound over what the others say of it.

    Parameters
    ----------
    log_weight
        log w_k, ``(K, n)``.

    Returns
    -------
    Tensor
        The bound less that with log w_k replaced by the mean of the others', ``(K, n)``, nats.

    Examples
    --------
    >>> import torch
    >>> learning_signals(torch.tensor([[0.0], [0.0], [0.0]])).flatten()
    tensor([0., 0., 0.])
    """
    k = len(log_weight)
    others = (log_weight.sum(0) - log_weight) / (k - 1)
    own = torch.eye(k, dtype=torch.bool, device=log_weight.device).unsqueeze(-1)
    without = torch.where(own, others, log_weight).logsumexp(1)
    return log_weight.logsumexp(0) - without
