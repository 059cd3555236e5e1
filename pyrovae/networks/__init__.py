"""Encoders and decoders."""

from __future__ import annotations

from pyrovae.networks.base import NETWORKS, Network
from pyrovae.networks.burgess_conv import BurgessConv
from pyrovae.networks.conv import Conv
from pyrovae.networks.mlp import Mlp
from pyrovae.networks.residual_conv import ResidualConv

__all__ = ["NETWORKS", "BurgessConv", "Conv", "Mlp", "Network", "ResidualConv"]
