"""Whether a unit is active: four criteria that need not agree."""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.measures.collapse.information import Information
from pyrovae.measures.collapse.sensitivity import Sensitivity
from pyrovae.measures.collapse.units import EPSILON, Units

#: What each criterion asks of an active unit.
CRITERIA = {
    "variance": "Var(mu) > 0.01 (Burda et al. 2016)",
    "kl": "not (0.01, 0.01)-collapsed (Lucas et al. 2019)",
    "information": "I(x; z_u) > 0.01 nats",
    "decoder": "replacing it changes more than 0.1 % of the reconstructions' variance",
}


def active_by(
    units: Units, information: Information, sensitivity: Sensitivity
) -> dict[str, Tensor]:
    """Return whether each unit is active by each of :data:`CRITERIA`, ``(latent_dim,)`` each."""
    return {
        "variance": units.active,
        "kl": ~units.collapsed,
        "information": information.unit > EPSILON,
        "decoder": sensitivity.used,
    }


def agreement(active: dict[str, Tensor]) -> float:
    """Return the share of units on which all criteria agree."""
    votes = torch.stack(list(active.values()))
    return float((votes.all(0) | ~votes.any(0)).float().mean())
