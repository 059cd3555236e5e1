"""Likelihoods p(x|z)."""

from __future__ import annotations

from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood
from pyrovae.models.likelihoods.bernoulli import Bernoulli
from pyrovae.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.models.likelihoods.discretized_logistic import DiscretizedLogistic
from pyrovae.models.likelihoods.gaussian import Gaussian
from pyrovae.models.likelihoods.laplace import Laplace

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "Likelihood",
]
