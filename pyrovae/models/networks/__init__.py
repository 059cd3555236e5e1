"""Encoders and decoders."""

from __future__ import annotations

from pyrovae.models.networks.base import NETWORKS, Network
from pyrovae.models.networks.burgess_conv import BurgessConv
from pyrovae.models.networks.conv import Conv
from pyrovae.models.networks.gated_mlp import GatedMlp
from pyrovae.models.networks.identifiable_mlp import IdentifiableMlp
from pyrovae.models.networks.mlp import Mlp
from pyrovae.models.networks.residual_conv import ResidualConv
from pyrovae.models.networks.tokens import Tokens

__all__ = [
    "NETWORKS",
    "BurgessConv",
    "Conv",
    "GatedMlp",
    "IdentifiableMlp",
    "Mlp",
    "Network",
    "ResidualConv",
    "Tokens",
]
