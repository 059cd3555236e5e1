"""What torch and Pyro lack about distributions: further closed-form KLs, and marginals."""

from __future__ import annotations

from pyrovae.distributions.kl import analytic_kl
from pyrovae.distributions.marginals import marginals

__all__ = ["analytic_kl", "marginals"]
