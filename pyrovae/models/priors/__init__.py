"""Priors p(z), as Pyro programs."""

from __future__ import annotations

from pyrovae.models.priors.base import PRIORS, Prior
from pyrovae.models.priors.dirichlet import Dirichlet
from pyrovae.models.priors.discrete import Bernoulli, Categorical
from pyrovae.models.priors.factorized import Laplace, StandardNormal, StudentT
from pyrovae.models.priors.flow import Flow
from pyrovae.models.priors.gaussian_mixture import GaussianMixture
from pyrovae.models.priors.generalized_normal import GeneralizedNormal
from pyrovae.models.priors.hierarchical import Ard, Horseshoe
from pyrovae.models.priors.hyperspherical_uniform import HypersphericalUniform
from pyrovae.models.priors.mixed import Mixed
from pyrovae.models.priors.riemannian_normal import RiemannianNormal
from pyrovae.models.priors.spike_slab import SpikeSlab
from pyrovae.models.priors.two_stage import TwoStage
from pyrovae.models.priors.vampprior import VampPrior

__all__ = [
    "PRIORS",
    "Ard",
    "Bernoulli",
    "Categorical",
    "Dirichlet",
    "Flow",
    "GaussianMixture",
    "GeneralizedNormal",
    "Horseshoe",
    "HypersphericalUniform",
    "Laplace",
    "Mixed",
    "Prior",
    "RiemannianNormal",
    "SpikeSlab",
    "StandardNormal",
    "StudentT",
    "TwoStage",
    "VampPrior",
]
