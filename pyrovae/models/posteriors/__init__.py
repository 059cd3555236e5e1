"""Posterior families q(z|x), as Pyro guides."""

from __future__ import annotations

from pyrovae.models.posteriors.base import POSTERIORS, Posterior
from pyrovae.models.posteriors.discrete import Bernoulli, Categorical
from pyrovae.models.posteriors.flows import (
    InverseAutoregressive,
    MaskedAutoregressive,
    NeuralSpline,
    Planar,
    Radial,
)
from pyrovae.models.posteriors.full_rank import FullRankNormal
from pyrovae.models.posteriors.gaussian_mixture import GaussianMixture
from pyrovae.models.posteriors.low_rank import LowRankNormal
from pyrovae.models.posteriors.mean_field import (
    FixedScaleNormal,
    MeanFieldLaplace,
    MeanFieldLogistic,
    MeanFieldNormal,
    MeanFieldStudentT,
)
from pyrovae.models.posteriors.mixed import Mixed
from pyrovae.models.posteriors.quantized import FiniteScalar, VectorQuantized
from pyrovae.models.posteriors.relaxed_spike_slab import RelaxedSpikeSlab
from pyrovae.models.posteriors.semi_amortized import SemiAmortized
from pyrovae.models.posteriors.sphere import PowerSpherical, VonMisesFisher
from pyrovae.models.posteriors.sylvester import Sylvester
from pyrovae.models.posteriors.wrapped_normal import WrappedNormal

__all__ = [
    "POSTERIORS",
    "Bernoulli",
    "Categorical",
    "FiniteScalar",
    "FixedScaleNormal",
    "FullRankNormal",
    "GaussianMixture",
    "InverseAutoregressive",
    "LowRankNormal",
    "MaskedAutoregressive",
    "MeanFieldLaplace",
    "MeanFieldLogistic",
    "MeanFieldNormal",
    "MeanFieldStudentT",
    "Mixed",
    "NeuralSpline",
    "Planar",
    "Posterior",
    "PowerSpherical",
    "Radial",
    "RelaxedSpikeSlab",
    "SemiAmortized",
    "Sylvester",
    "VectorQuantized",
    "VonMisesFisher",
    "WrappedNormal",
]
