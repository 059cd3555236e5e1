"""Collapse: what each latent unit does, and what it costs."""

from __future__ import annotations

from pyrovae.collapse.bounds import Bound, estimate_bound
from pyrovae.collapse.units import ACTIVE_VARIANCE, Units, measure_units, posterior_means

__all__ = [
    "ACTIVE_VARIANCE",
    "Bound",
    "Units",
    "estimate_bound",
    "measure_units",
    "posterior_means",
]
