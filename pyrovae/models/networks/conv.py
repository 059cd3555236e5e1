"""Convolutional encoder and decoder for images of any size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from pyrovae.models.networks.base import ACTIVATIONS, NETWORKS, Dropout, Norm
from pyrovae.models.networks.dense import dense
from pyrovae.models.networks.image import OverBatch, halvings, normalised
from pyrovae.models.networks.skip import Skip, in_a_row


@NETWORKS.register("conv")
class Conv:
    """Strided 4×4 convolutions that halve the image, then one dense layer.

    Parameters
    ----------
    channels
        Output channels of each convolution, from the image inwards.
    dense
        Width of the dense layer between the convolutions and the code.
    activation
        After each layer.
    norm
        Before each activation, the last layer apart: ``layer`` (of a convolution over all channels
        and places), ``batch`` or none, as for ``mlp``.
    dropout
        Share of units that are set to 0 at each training step, after the dense layers.
    skip
        Whether every layer of the decoder reads the code, as for ``mlp``; a convolution has it as
        further channels, the same at every place.

    References
    ----------
    Higgins et al. 2017, appendix A.1; openreview Sy2fzU9gl

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import Conv
    >>> network = Conv(channels=[16, 32], dense=64)
    >>> encoder, features = network.encoder((1, 28, 28))
    >>> encoder(torch.zeros(5, 1, 28, 28)).shape, features
    (torch.Size([5, 64]), 64)
    >>> decoder = network.decoder(3, (1, 28, 28), outputs_per_element=1)
    >>> decoder(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 1, 28, 28])
    """

    def __init__(
        self,
        *,
        channels: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)] = [32, 32, 64],  # noqa: B006 - never changed
        dense: Annotated[int, Field(gt=0)] = 256,
        activation: Literal["relu", "gelu", "tanh", "softplus"] = "relu",
        norm: Norm = None,
        dropout: Dropout = 0.0,
        skip: Skip = False,
    ) -> None:
        self.channels, self.dense = list(channels), dense
        self.activation = ACTIVATIONS[activation]
        self.norm, self.dropout, self.skip = norm, dropout, skip

    def _dense(self, inputs: int, outputs: int) -> list[nn.Module]:
        return dense(inputs, outputs, self.activation(), self.norm, self.dropout)

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder and the width of its dense layer."""
        height, width = halvings("conv", event_shape, len(self.channels))[-1]
        layers: list[nn.Module] = []
        inputs = event_shape[0]
        for outputs in self.channels:
            layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
            layers += [*normalised(layer, self.norm), self.activation()]
            inputs = outputs
        flat = inputs * height * width
        layers += [nn.Flatten(), *self._dense(flat, self.dense)]
        return OverBatch(nn.Sequential(*layers), event_dims=3), self.dense

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return the decoder; output padding restores sizes that do not divide evenly."""
        sizes = halvings("conv", event_shape, len(self.channels))
        height, width = sizes[-1]
        inner = self.channels[-1]
        again = latent_dim if self.skip else 0
        stages: list[list[nn.Module]] = [
            self._dense(latent_dim, self.dense),
            [
                *self._dense(self.dense + again, inner * height * width),
                nn.Unflatten(-1, (inner, height, width)),
            ],
        ]
        channels = [*reversed(self.channels[:-1]), outputs_per_element * event_shape[0]]
        for i, (outputs, size) in enumerate(zip(channels, reversed(sizes[:-1]), strict=True)):
            odd = (size[0] % 2, size[1] % 2)
            layer = nn.ConvTranspose2d(
                inner + again, outputs, 4, stride=2, padding=1, output_padding=odd
            )
            if i < len(channels) - 1:
                stages.append([*normalised(layer, self.norm), self.activation()])
            else:
                stages.append([layer])
            inner = outputs
        stages[-1].append(nn.Unflatten(1, (outputs_per_element, event_shape[0])))
        return OverBatch(in_a_row(stages, skip=self.skip), event_dims=1)
