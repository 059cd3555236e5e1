"""Collapse: what each latent unit does, and what it costs."""

from __future__ import annotations

from pyrovae.measures.collapse.bounds import Bound, estimate_bound
from pyrovae.measures.collapse.criteria import CRITERIA, active_by, agreement
from pyrovae.measures.collapse.information import Information, measure_information, near_ceiling
from pyrovae.measures.collapse.moments import Moments, moments
from pyrovae.measures.collapse.sensitivity import Sensitivity, measure_sensitivity, weight_norms
from pyrovae.measures.collapse.units import (
    ACTIVE_VARIANCE,
    DELTA,
    EPSILON,
    QUANTILES,
    Units,
    measure_units,
    posterior_means,
)

__all__ = [
    "ACTIVE_VARIANCE",
    "CRITERIA",
    "DELTA",
    "EPSILON",
    "QUANTILES",
    "Bound",
    "Information",
    "Moments",
    "Sensitivity",
    "Units",
    "active_by",
    "agreement",
    "estimate_bound",
    "measure_information",
    "measure_sensitivity",
    "measure_units",
    "moments",
    "near_ceiling",
    "posterior_means",
    "weight_norms",
]
