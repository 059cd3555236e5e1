"""Priors p(z), as Pyro programs."""

from __future__ import annotations

from pyrovae.priors.base import PRIORS, Prior
from pyrovae.priors.factorized import Laplace, StandardNormal, StudentT
from pyrovae.priors.flow import Flow
from pyrovae.priors.gaussian_mixture import GaussianMixture
from pyrovae.priors.generalized_normal import GeneralizedNormal
from pyrovae.priors.hierarchical import Ard, Horseshoe
from pyrovae.priors.hyperspherical_uniform import HypersphericalUniform
from pyrovae.priors.spike_slab import SpikeSlab
from pyrovae.priors.two_stage import TwoStage
from pyrovae.priors.vampprior import VampPrior

__all__ = [
    "PRIORS",
    "Ard",
    "Flow",
    "GaussianMixture",
    "GeneralizedNormal",
    "Horseshoe",
    "HypersphericalUniform",
    "Laplace",
    "Prior",
    "SpikeSlab",
    "StandardNormal",
    "StudentT",
    "TwoStage",
    "VampPrior",
]
