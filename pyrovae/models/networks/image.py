"""What convolutional networks share: any number of batch dimensions, and images of any size."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pyrovae.core.errors import ConfigError
from pyrovae.models.networks.base import Norm


class OverBatch(nn.Module):
    """Applies an image network, which knows one batch dimension, to any number of them.

    Parameters
    ----------
    inner
        ``(n, *event) -> (n, *outputs)``.
    event_dims
        Number of dimensions of an input's event.
    """

    def __init__(self, inner: nn.Module, event_dims: int) -> None:
        super().__init__()
        self.inner, self.event_dims = inner, event_dims

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``(*b, *outputs)`` for inputs ``(*b, *event)``."""
        batch = inputs.shape[: inputs.dim() - self.event_dims]
        event = inputs.shape[inputs.dim() - self.event_dims :]
        outputs = self.inner(inputs.reshape(math.prod(batch), *event))
        return outputs.reshape(*batch, *outputs.shape[1:])


def normalised(layer: nn.Conv2d | nn.ConvTranspose2d, norm: Norm) -> list[nn.Module]:
    """Return a convolution and the normalisation that follows it, if any.

    ``layer`` normalises over all channels and places of an image. As before a dense layer's batch
    normalisation there is no bias.
    """
    if norm == "layer":
        return [layer, nn.GroupNorm(1, layer.out_channels)]
    if norm == "batch":
        layer.bias = None
        return [layer, nn.BatchNorm2d(layer.out_channels)]
    return [layer]


def halvings(network: str, event_shape: tuple[int, ...], times: int) -> list[tuple[int, int]]:
    """Return an image's (height, width) before the first and after each halving.

    Raises
    ------
    ConfigError
        If observations are no images, or too small for so many halvings.
    """
    if len(event_shape) != 3:
        raise ConfigError(
            f"network '{network}' needs images (channels, height, width), "
            f"not observations of shape {event_shape}"
        )
    sizes = [(event_shape[1], event_shape[2])]
    for _ in range(times):
        height, width = sizes[-1]
        if min(height, width) < 2:
            raise ConfigError(
                f"network '{network}': {times} halvings are too many for images of "
                f"{event_shape[1]}×{event_shape[2]}",
                "channels",
            )
        sizes.append((height // 2, width // 2))
    return sizes
