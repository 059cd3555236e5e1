"""Likelihoods p(x|z)."""

from __future__ import annotations

from pyrovae.models.likelihoods.attention import Attention
from pyrovae.models.likelihoods.autoregressive import Autoregressive
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood
from pyrovae.models.likelihoods.bernoulli import Bernoulli
from pyrovae.models.likelihoods.categorical import Categorical
from pyrovae.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.models.likelihoods.discretized_logistic import DiscretizedLogistic
from pyrovae.models.likelihoods.gaussian import Gaussian
from pyrovae.models.likelihoods.laplace import Laplace
from pyrovae.models.likelihoods.mixed import Mixed
from pyrovae.models.likelihoods.negative_binomial import NegativeBinomial
from pyrovae.models.likelihoods.pixelcnn import PixelCnn
from pyrovae.models.likelihoods.poisson import Poisson
from pyrovae.models.likelihoods.recurrent import Recurrent
from pyrovae.models.likelihoods.student_t import StudentT
from pyrovae.models.likelihoods.support import Support

__all__ = [
    "LIKELIHOODS",
    "Attention",
    "Autoregressive",
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Mixed",
    "NegativeBinomial",
    "PixelCnn",
    "Poisson",
    "Recurrent",
    "StudentT",
    "Support",
]
