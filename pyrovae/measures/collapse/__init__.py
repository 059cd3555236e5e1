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
    drawn_codes,
    measure_units,
    posterior_means,
)
from pyrovae.measures.collapse.usage import Usage, enumerate_posterior, measure_usage
from pyrovae.measures.collapse.use import (
    NOISE_SHARE,
    USED_ERRORS,
    USED_NATS,
    Use,
    UseOfCode,
    measure_use,
)

__all__ = [
    "ACTIVE_VARIANCE",
    "CRITERIA",
    "DELTA",
    "EPSILON",
    "NOISE_SHARE",
    "QUANTILES",
    "USED_ERRORS",
    "USED_NATS",
    "Bound",
    "Information",
    "Moments",
    "Sensitivity",
    "Units",
    "Usage",
    "Use",
    "UseOfCode",
    "active_by",
    "agreement",
    "drawn_codes",
    "enumerate_posterior",
    "estimate_bound",
    "measure_information",
    "measure_sensitivity",
    "measure_units",
    "measure_usage",
    "measure_use",
    "moments",
    "near_ceiling",
    "posterior_means",
    "weight_norms",
]
