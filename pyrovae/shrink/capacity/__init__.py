"""Capacity: how many latent units data need, found with few trainings."""

from __future__ import annotations

from pyrovae.shrink.capacity.search import Belief, Observation, belief, next_size

__all__ = ["Belief", "Observation", "belief", "next_size"]
