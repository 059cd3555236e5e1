"""Priors p(z), as Pyro programs."""

from __future__ import annotations

from pyrovae.priors.base import PRIORS, Prior
from pyrovae.priors.factorized import Laplace, StandardNormal, StudentT
from pyrovae.priors.flow import Flow
from pyrovae.priors.gaussian_mixture import GaussianMixture
from pyrovae.priors.generalized_normal import GeneralizedNormal
from pyrovae.priors.hyperspherical_uniform import HypersphericalUniform

__all__ = [
    "PRIORS",
    "Flow",
    "GaussianMixture",
    "GeneralizedNormal",
    "HypersphericalUniform",
    "Laplace",
    "Prior",
    "StandardNormal",
    "StudentT",
]
