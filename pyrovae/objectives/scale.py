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


@OBJECTIVES.register("learned_sigma", source="Dai & Wipf 2019, sec. 3; arXiv:1903.05789")
class LearnedSigma(Elbo):
    """ELBO, refused where the likelihood's scale is not learned: gamma is fitted by gradient."""

    needs = Elbo.needs | {"likelihood.learned_scale"}


@OBJECTIVES.register(
    "balanced",
    source="Asperti & Trentin 2020, sec. 4, arXiv:2002.07514; "
    "Rybkin, Daniilidis & Levine 2021, eq. 6, arXiv:2006.13202",
)
class Balanced(Objective):
    """ELBO at the best sigma for each minibatch: the mean squared error, not a learned number.

    The original takes the least error seen so far, which a minibatch may miss; here it is the
    minibatch's own, as in Rybkin et al. The likelihood's sigma, which evaluation uses, is fitted
    beside it without touching the rest.
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
