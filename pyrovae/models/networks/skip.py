"""Decoders whose every layer reads the code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import torch
from torch import Tensor, nn

from pyrovae.core.registry import LATER

#: Whether each layer of the decoder reads the code beside what the layer before it gives.
Skip = Annotated[bool, LATER]


class SkipDecoder(nn.Module):
    r"""Stages in a row, each of which reads the code z again: h_l = stage_l(h_{l-1}, z).

    What a stage is given is one vector, or one image that has the numbers of z as further channels,
    the same at every place. Dieng, Kim, Rush & Blei 2019, sec. 3, arXiv:1807.04863: however deep
    the decoder, no layer can lose the code.

    Parameters
    ----------
    stages
        Modules ``(*b, inputs) -> (*b, outputs)``, or of images ``(n, channels, height, width)``.
        The first reads z alone.
    """

    #: No single layer holds all weights that belong to a unit.
    reads_code_once = False

    def __init__(self, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, z: Tensor) -> Tensor:
        """Return what the last stage gives for codes ``(*b, d)``; before an image, ``(n, d)``."""
        first, *rest = self.stages
        h: Tensor = first(z)
        for stage in rest:
            h = stage(_beside(h, z))
        return h


def in_a_row(stages: Sequence[Sequence[nn.Module]], *, skip: bool) -> nn.Module:
    """Return stages as one decoder: each of which reads the code again, or layers and no more."""
    if skip:
        return SkipDecoder([nn.Sequential(*stage) for stage in stages])
    return nn.Sequential(*chain.from_iterable(stages))


def _beside(h: Tensor, z: Tensor) -> Tensor:
    places = h.dim() - z.dim()
    channels = z.reshape(*z.shape, *[1] * places).expand(*z.shape, *h.shape[z.dim() :])
    return torch.cat([h, channels], z.dim() - 1)
