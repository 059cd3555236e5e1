"""Objectives, as functions of a model trace and a guide trace."""

from __future__ import annotations

from pyrovae.objectives.base import (
    OBJECTIVES,
    Objective,
    Terms,
    Update,
    latent_sites,
    log_ratio,
    terms,
    trace_pair,
)
from pyrovae.objectives.elbo import Annealed, Autoencoder, Beta, Elbo

__all__ = [
    "OBJECTIVES",
    "Annealed",
    "Autoencoder",
    "Beta",
    "Elbo",
    "Objective",
    "Terms",
    "Update",
    "latent_sites",
    "log_ratio",
    "terms",
    "trace_pair",
]
