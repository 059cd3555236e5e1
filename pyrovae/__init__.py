"""Varying priors and posteriors in Pyro VAEs: collapse, disentanglement, diagnostics."""

from __future__ import annotations

__version__ = "0.1.0"
