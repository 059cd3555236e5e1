"""Models with layers of codes: z1 nearest to the data, each layer the prior of the one below."""

from __future__ import annotations

from pyrovae.models.layered.model import LayeredVAE, build_layered
from pyrovae.models.layered.settings import Layers

__all__ = ["LayeredVAE", "Layers", "build_layered"]
