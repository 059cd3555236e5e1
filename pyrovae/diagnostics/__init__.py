"""Posterior diagnostics: everything that speaks to ArviZ."""

from __future__ import annotations

from pyrovae.diagnostics.guide import guide_draws
from pyrovae.diagnostics.inference_data import load, plots, save, summary

__all__ = ["guide_draws", "load", "plots", "save", "summary"]
