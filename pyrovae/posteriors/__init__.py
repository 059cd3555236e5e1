"""Posterior families q(z|x), as Pyro guides."""

from __future__ import annotations

from pyrovae.posteriors.base import POSTERIORS, Posterior
from pyrovae.posteriors.flows import InverseAutoregressive, NeuralSpline, Planar
from pyrovae.posteriors.full_rank import FullRankNormal
from pyrovae.posteriors.low_rank import LowRankNormal
from pyrovae.posteriors.mean_field import (
    MeanFieldLaplace,
    MeanFieldLogistic,
    MeanFieldNormal,
    MeanFieldStudentT,
)
from pyrovae.posteriors.sphere import PowerSpherical, VonMisesFisher

__all__ = [
    "POSTERIORS",
    "FullRankNormal",
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
    "VonMisesFisher",
]
