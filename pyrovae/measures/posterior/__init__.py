"""Posterior diagnostics: everything that speaks to ArviZ."""

from __future__ import annotations

from pyrovae.measures.arviz import load, plots, save, summary
from pyrovae.measures.posterior.guide import guide_draws

__all__ = ["guide_draws", "load", "plots", "save", "summary"]
