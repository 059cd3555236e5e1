"""A user's own pair of Pyro programs, as a model that everything else here can work with."""

from __future__ import annotations

from pyrovae.models.own.model import UserModel

__all__ = ["UserModel"]
