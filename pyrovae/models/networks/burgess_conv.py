"""The convolutional networks of the disentanglement literature, for 64×64 images."""

from __future__ import annotations

from typing import Literal

from torch import nn

from pyrovae.core.errors import ConfigError
from pyrovae.models.networks.base import NETWORKS
from pyrovae.models.networks.image import OverBatch

#: (output channels, kernel) of each stride-2 convolution, and the dense widths behind them.
_ENCODERS: dict[str, tuple[list[tuple[int, int]], list[int]]] = {
    "burgess": ([(32, 4), (32, 4), (32, 4), (32, 4)], [256, 256]),
    "locatello": ([(32, 4), (32, 4), (64, 2), (64, 2)], [256]),
}
#: Dense widths, the channels of the 4×4 image that follows, and of each stride-2 deconvolution.
_DECODERS: dict[str, tuple[list[int], int, list[int]]] = {
    "burgess": ([256, 256], 32, [32, 32, 32]),
    "locatello": ([256], 64, [64, 32, 32]),
}


@NETWORKS.register("burgess_conv")
class BurgessConv:
    """Four strided convolutions and dense layers for 64×64 images, layer for layer as published.

    Parameters
    ----------
    variant
        ``burgess``: four of 32 channels, then two dense layers of 256. ``locatello``: 32, 32, 64,
        64 channels, then one of 256; the last two kernels are 2×2, as in the code that made the
        published results, while the paper's table says 4×4 (disentanglement_lib, issue 35).

    References
    ----------
    Burgess et al. 2018, appendix A.1, arXiv:1804.03599; Locatello et al. 2019, table 2,
    arXiv:1811.12359

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import BurgessConv
    >>> network = BurgessConv(variant="locatello")
    >>> encoder, features = network.encoder((3, 64, 64))
    >>> encoder(torch.zeros(5, 3, 64, 64)).shape, features
    (torch.Size([5, 256]), 256)
    >>> decoder = network.decoder(3, (3, 64, 64), outputs_per_element=1)
    >>> decoder(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 3, 64, 64])
    """

    def __init__(self, *, variant: Literal["burgess", "locatello"] = "burgess") -> None:
        self.variant = variant

    def _check(self, event_shape: tuple[int, ...]) -> None:
        if len(event_shape) != 3 or event_shape[1:] != (64, 64):
            raise ConfigError(
                "network 'burgess_conv' is for images of 64×64, "
                f"not for observations of shape {tuple(event_shape)}; 'conv' takes any size"
            )

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder and the width of its last dense layer."""
        self._check(event_shape)
        convolutions, dense = _ENCODERS[self.variant]
        layers: list[nn.Module] = []
        inputs = event_shape[0]
        for outputs, kernel in convolutions:
            # Halves the image for either kernel.
            padding = (kernel - 2) // 2
            layers += [nn.Conv2d(inputs, outputs, kernel, stride=2, padding=padding), nn.ReLU()]
            inputs = outputs
        layers.append(nn.Flatten())
        inputs *= 4 * 4
        for outputs in dense:
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            inputs = outputs
        return OverBatch(nn.Sequential(*layers), event_dims=3), inputs

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return the decoder; its last layer has no activation."""
        self._check(event_shape)
        dense, first, channels = _DECODERS[self.variant]
        layers: list[nn.Module] = []
        inputs = latent_dim
        for outputs in (*dense, first * 4 * 4):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            inputs = outputs
        layers.append(nn.Unflatten(-1, (first, 4, 4)))
        inputs = first
        for outputs in channels:
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
            inputs = outputs
        shape = (outputs_per_element, event_shape[0])
        layers += [
            nn.ConvTranspose2d(inputs, shape[0] * shape[1], 4, stride=2, padding=1),
            nn.Unflatten(1, shape),
        ]
        return OverBatch(nn.Sequential(*layers), event_dims=1)
