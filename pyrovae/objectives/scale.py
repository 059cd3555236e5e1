"""Objectives that settle the balance of distortion and rate by the noise of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.models.sites import Terms, is_weighted
from pyrovae.objectives.base import OBJECTIVES, Objective
from pyrovae.objectives.elbo import Elbo


@OBJECTIVES.register("learned_sigma")
class LearnedSigma(Elbo):
    r"""ELBO, refused where the likelihood's scale is not learned: gamma is fitted by gradient.

    .. math:: \mathcal{L} = D_\sigma + R, \quad \sigma \text{ learned}

    References
    ----------
    Dai & Wipf 2019, sec. 3; arXiv:1903.05789

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import LearnedSigma
    >>> vae = pyrovae.build((4,), latent_dim=2, likelihood="gaussian")
    >>> x = torch.rand(16, 4)
    >>> objective = LearnedSigma()
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, (terms.distortion + terms.rate).mean())
    True
    >>> loss.backward()
    >>> vae.likelihood.log_sigma.grad.shape
    torch.Size([])
    """

    needs = Elbo.needs | {"likelihood.learned_scale"}


@OBJECTIVES.register("balanced")
class Balanced(Objective):
    r"""ELBO at the best sigma for each minibatch: the mean squared error, not a learned number.

    .. math:: \mathcal{L} = \frac{n}{2} \left(1 + \log(2 \pi\, \mathrm{MSE})\right) + R

    The original takes the least error seen so far, which a minibatch may miss; here it is the
    minibatch's own, as in Rybkin et al. The likelihood's sigma, which evaluation uses, is fitted
    beside it without touching the rest.

    References
    ----------
    Asperti & Trentin 2020, sec. 4, arXiv:2002.07514; Rybkin, Daniilidis & Levine 2021, eq. 6,
    arXiv:2006.13202

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Balanced
    >>> vae = pyrovae.build((4,), latent_dim=2, likelihood="gaussian")
    >>> x = torch.rand(16, 4)
    >>> objective = Balanced()
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> error = (x - terms.observed[0]["fn"].mean).square().mean()
    >>> distortion = 4 / 2 * (1 + torch.log(2 * torch.pi * error))
    >>> torch.allclose(loss, distortion + terms.rate.mean())
    True
    """

    needs = Objective.needs | {"likelihood.squared_error", "likelihood.learned_scale"}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return (D/2) (1 + log(2 pi MSE)) + rate, averaged over the batch."""
        site = terms.observed[0]
        if is_weighted(site):
            raise ConfigError(
                "objective 'balanced' weighs the distortion itself: the observed site must be "
                "neither scaled nor masked"
            )
        law, x = site["fn"].base_dist, site["value"]
        dims = site["fn"].event_dim
        size = math.prod(x.shape[-dims:])
        error = (x - law.loc).square().mean()
        distortion = size / 2 * (1 + torch.log(2 * math.pi * error))
        misfit = size * (error.detach() / (2 * law.scale.square()) + law.scale.log()).mean()
        return distortion + terms.rate.mean() + terms.shared + (misfit - misfit.detach())
