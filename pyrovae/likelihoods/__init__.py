"""Likelihoods p(x|z)."""

from __future__ import annotations

from pyrovae.likelihoods.base import LIKELIHOODS, Likelihood
from pyrovae.likelihoods.bernoulli import Bernoulli
from pyrovae.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.likelihoods.discretized_logistic import DiscretizedLogistic
from pyrovae.likelihoods.gaussian import Gaussian
from pyrovae.likelihoods.laplace import Laplace

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "Likelihood",
]
