"""Objectives, as functions of a model trace and a guide trace."""

from __future__ import annotations

from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective, Update
from pyrovae.objectives.constrained import Geco
from pyrovae.objectives.dip import DipI, DipII
from pyrovae.objectives.elbo import Annealed, Autoencoder, Beta, Elbo
from pyrovae.objectives.factor import Factor
from pyrovae.objectives.hamiltonian import Hamiltonian
from pyrovae.objectives.importance import Dreg, Iwae
from pyrovae.objectives.info import Info
from pyrovae.objectives.lagging import Lagging
from pyrovae.objectives.latent_reconstruction import LatentReconstruction
from pyrovae.objectives.paired import AdaGvae, GroupVae
from pyrovae.objectives.rate import Capacity, Delta, FreeBits, JointCapacity
from pyrovae.objectives.regularized import Rae
from pyrovae.objectives.scale import Balanced, LearnedSigma
from pyrovae.objectives.semi_supervised import SemiSupervised
from pyrovae.objectives.tighter import Ciwae, Miwae, Piwae
from pyrovae.objectives.total_correlation import BetaTC
from pyrovae.objectives.vimco import Vimco
from pyrovae.objectives.wasserstein import WaeGan, WaeMmd

__all__ = [
    "OBJECTIVES",
    "AdaGvae",
    "Annealed",
    "Autoencoder",
    "Balanced",
    "Beta",
    "BetaTC",
    "Capacity",
    "Ciwae",
    "Delta",
    "DipI",
    "DipII",
    "Dreg",
    "Elbo",
    "Factor",
    "FreeBits",
    "Geco",
    "GroupVae",
    "Hamiltonian",
    "Info",
    "Iwae",
    "JointCapacity",
    "Lagging",
    "LatentReconstruction",
    "LearnedSigma",
    "Miwae",
    "Objective",
    "Piwae",
    "Rae",
    "SemiSupervised",
    "Terms",
    "Update",
    "Vimco",
    "WaeGan",
    "WaeMmd",
]
