"""A user's own model that can be named by its path; it is planned here, never built."""

from __future__ import annotations


def wide(event_shape: tuple[int, ...], latent_dim: int, *, width: int = 8) -> object:
    """Return nothing that could be trained."""
    raise NotImplementedError
