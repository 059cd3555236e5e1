"""Codes with one coordinate replaced, and what the decoder makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.models.contract import LatentModel

#: Decoder inputs at a time.
CHUNK = 2048


def decoded(vae: LatentModel, z: Tensor, x: Data) -> tuple[Tensor, Tensor]:
    """Return E[x|z] and log p(x|z) for codes ``(*b, n, d)`` of data ``(n, *event_shape)``."""
    means, logs = [], []
    for codes, data in zip(z.split(CHUNK, -2), x.split(CHUNK), strict=True):
        law, mean = vae.decode_with_mean(codes, **given(data))
        means.append(mean)
        logs.append(law.log_prob(observed(data)))
    event = observed(x).dim() - 1
    return torch.cat(means, -event - 1), torch.cat(logs, -1)


def replaced(z: Tensor, u: int, value: Tensor, space: str) -> Tensor:
    """Return codes ``(n, d)`` with unit ``u`` replaced by ``value`` ``(n,)``.

    On a sphere the other coordinates are scaled, so that the code stays on it.
    """
    new = z.clone()
    if space == "sphere":
        rest = (1 - z[:, u] ** 2).clamp(min=1e-12).sqrt()
        new = z * ((1 - value**2).clamp(min=0).sqrt() / rest).unsqueeze(-1)
    new[:, u] = value
    return new
