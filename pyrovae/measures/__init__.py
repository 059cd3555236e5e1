"""Measures of one model: collapse, disentanglement, posterior diagnostics."""
