"""Pruning: a trained model without the units that carry nothing."""

from __future__ import annotations

from pyrovae.shrink.pruning.absorb import absorb_noise
from pyrovae.shrink.pruning.compare import Comparison, compare
from pyrovae.shrink.pruning.deep import prune_hidden
from pyrovae.shrink.pruning.surgery import LATENT_AXES, conflict, prune_units, unit_directions
from pyrovae.shrink.pruning.turn import active_directions, prune_directions, turnable

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
