"""What torch and Pyro lack about distributions: further closed-form KLs, and marginals."""

from __future__ import annotations

from pyrovae.distributions.kl import analytic_kl
from pyrovae.distributions.marginals import marginals
from pyrovae.distributions.units import unit_kl, unit_moments

__all__ = ["analytic_kl", "marginals", "unit_kl", "unit_moments"]
