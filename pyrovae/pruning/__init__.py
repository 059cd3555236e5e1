"""Pruning: a trained model without the units that carry nothing."""

from __future__ import annotations

from pyrovae.pruning.compare import Comparison, compare
from pyrovae.pruning.deep import prune_hidden
from pyrovae.pruning.surgery import LATENT_AXES, conflict, prune_units

__all__ = ["LATENT_AXES", "Comparison", "compare", "conflict", "prune_hidden", "prune_units"]
