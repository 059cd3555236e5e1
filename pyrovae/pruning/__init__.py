"""Pruning: a trained model without the units that carry nothing."""

from __future__ import annotations

from pyrovae.pruning.absorb import absorb_noise
from pyrovae.pruning.compare import Comparison, compare
from pyrovae.pruning.deep import prune_hidden
from pyrovae.pruning.surgery import LATENT_AXES, conflict, prune_units, unit_directions
from pyrovae.pruning.turn import active_directions, prune_directions, turnable

__all__ = [
    "LATENT_AXES",
    "Comparison",
    "absorb_noise",
    "active_directions",
    "compare",
    "conflict",
    "prune_directions",
    "prune_hidden",
    "prune_units",
    "turnable",
    "unit_directions",
]
