"""Posterior families q(z|x), as Pyro guides."""

from __future__ import annotations

from pyrovae.posteriors.base import POSTERIORS, Posterior
from pyrovae.posteriors.flows import InverseAutoregressive, NeuralSpline, Planar
from pyrovae.posteriors.full_rank import FullRankNormal
from pyrovae.posteriors.gaussian_mixture import GaussianMixture
from pyrovae.posteriors.low_rank import LowRankNormal
from pyrovae.posteriors.mean_field import (
    MeanFieldLaplace,
    MeanFieldLogistic,
    MeanFieldNormal,
    MeanFieldStudentT,
)
from pyrovae.posteriors.relaxed_spike_slab import RelaxedSpikeSlab
from pyrovae.posteriors.semi_amortized import SemiAmortized
from pyrovae.posteriors.sphere import PowerSpherical, VonMisesFisher

__all__ = [
    "POSTERIORS",
    "FullRankNormal",
    "GaussianMixture",
    "InverseAutoregressive",
    "LowRankNormal",
    "MeanFieldLaplace",
    "MeanFieldLogistic",
    "MeanFieldNormal",
    "MeanFieldStudentT",
    "NeuralSpline",
    "Planar",
    "Posterior",
    "PowerSpherical",
    "RelaxedSpikeSlab",
    "SemiAmortized",
    "VonMisesFisher",
]
