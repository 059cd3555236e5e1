"""Convolutional encoder and decoder with residual blocks, for images of any size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from pyrovae.models.networks.base import ACTIVATIONS, NETWORKS
from pyrovae.models.networks.image import OverBatch, halvings
from pyrovae.models.networks.skip import Skip, in_a_row


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))) with 3×3 kernels: pre-activation, without normalisation.

    Source: He et al. 2016, Identity mappings in deep residual networks, fig. 1b; arXiv:1603.05027.
    The last convolution starts at zero, so that the block starts as the identity (Zhang, Dauphin
    & Ma 2019, arXiv:1901.09321), which is what lets batch normalisation be left out.
    """

    def __init__(self, channels: int, activation: type[nn.Module]) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.branch = nn.Sequential(
            activation(), nn.Conv2d(channels, channels, 3, padding=1), activation(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of the same shape."""
        return x + self.branch(x)


@NETWORKS.register("residual_conv")
class ResidualConv:
    r"""Strided 4×4 convolutions, each followed by residual blocks, then one dense layer.

    .. math:: h \leftarrow h + \mathrm{conv}(a(\mathrm{conv}(a(h))))

    Parameters
    ----------
    channels
        Output channels of each halving of the image, from the image inwards.
    blocks
        Residual blocks after each halving.
    dense
        Width of the dense layer between the convolutions and the code.
    activation
        Inside the blocks and after the dense layers.
    skip
        Whether every layer of the decoder reads the code, as for ``conv``: the blocks before a
        convolution read it too.

    References
    ----------
    He et al. 2016, fig. 1b; arXiv:1603.05027

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import ResidualConv
    >>> network = ResidualConv(channels=[16, 32], dense=64)
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
        blocks: Annotated[int, Field(gt=0)] = 1,
        dense: Annotated[int, Field(gt=0)] = 256,
        activation: Literal["relu", "gelu", "tanh", "softplus"] = "relu",
        skip: Skip = False,
    ) -> None:
        self.channels, self.blocks, self.dense = list(channels), blocks, dense
        self.skip = skip
        self.activation = ACTIVATIONS[activation]

    def _blocks(self, channels: int) -> list[nn.Module]:
        return [ResidualBlock(channels, self.activation) for _ in range(self.blocks)]

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder and the width of its dense layer."""
        height, width = halvings("residual_conv", event_shape, len(self.channels))[-1]
        layers: list[nn.Module] = []
        inputs = event_shape[0]
        for outputs in self.channels:
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), *self._blocks(outputs)]
            inputs = outputs
        layers += [
            self.activation(),
            nn.Flatten(),
            nn.Linear(inputs * height * width, self.dense),
            self.activation(),
        ]
        return OverBatch(nn.Sequential(*layers), event_dims=3), self.dense

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return the decoder; output padding restores sizes that do not divide evenly."""
        sizes = halvings("residual_conv", event_shape, len(self.channels))
        height, width = sizes[-1]
        inner = self.channels[-1]
        again = latent_dim if self.skip else 0
        stages: list[list[nn.Module]] = [
            [nn.Linear(latent_dim, self.dense), self.activation()],
            [
                nn.Linear(self.dense + again, inner * height * width),
                nn.Unflatten(-1, (inner, height, width)),
            ],
        ]
        channels = [*reversed(self.channels[:-1]), outputs_per_element * event_shape[0]]
        for outputs, (height, width) in zip(channels, reversed(sizes[:-1]), strict=True):
            odd = (height % 2, width % 2)
            stage = [
                *self._blocks(inner + again),
                self.activation(),
                nn.ConvTranspose2d(
                    inner + again, outputs, 4, stride=2, padding=1, output_padding=odd
                ),
            ]
            stages.append(stage)
            inner = outputs
        stages[-1].append(nn.Unflatten(1, (outputs_per_element, event_shape[0])))
        return OverBatch(in_a_row(stages, skip=self.skip), event_dims=1)
