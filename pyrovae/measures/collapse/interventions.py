"""Codes with one coordinate replaced, and what the decoder makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.models.contract import LatentModel

#: Decoder inputs at a time.
CHUNK = 2048


def log_likelihood(vae: LatentModel, z: Tensor, x: Data) -> Tensor:
    """Return log p(x|z), ``(*b, n)``, for codes ``(*b, n, d)`` of data ``(n, *event_shape)``."""
    parts = zip(z.split(CHUNK, -2), x.split(CHUNK), strict=True)
    logs = [vae.decode(c, **given(data)).log_prob(observed(data)) for c, data in parts]
    return torch.cat(logs, -1)


def decoded(vae: LatentModel, z: Tensor, x: Data) -> tuple[Tensor, Tensor]:
    """Return E[x|z] and log p(x|z) for codes ``(*b, n, d)`` of data ``(n, *event_shape)``.

    Of a law without a mean, whose elements come one after the other, it is E[x_i|x_1 … x_{i-1}, z]
    of each element, as :meth:`~pyrovae.distributions.element_by_element.ElementByElement.expected`
    has it: with one dimension more.
    """
    means, logs = [], []
    for codes, data in zip(z.split(CHUNK, -2), x.split(CHUNK), strict=True):
        if vae.shows == "draw":
            law: Any = vae.decode(codes, **given(data))
            mean = law.expected(observed(data))
        else:
            law, mean = vae.decode_with_mean(codes, **given(data))
        means.append(mean)
        logs.append(law.log_prob(observed(data)))
    event = means[0].dim() - z.dim() + 1
    return torch.cat(means, -event - 1), torch.cat(logs, -1)


def numbers(vae: LatentModel, z: Tensor, x: Data) -> Tensor:
    """Return data as what :func:`decoded` has the means of."""
    if vae.shows != "draw":
        return observed(x)
    law: Any = vae.decode(z, **given(x))
    return law.numbers(observed(x))


def explained(vae: LatentModel, z: Tensor, x: Data, block: int) -> Tensor:
    """Return the log-density of what the generator makes of a layer, at codes of data.

    Of a flat code that is log p(x|z). Of layer l it is log p(z_{l-1}|z_l), and log p(x|z) where
    the decoder reads the layer. Of a site among others in a user's model it is the log-density of
    all that the model draws after it, given what it has drawn before, x among it.

    Parameters
    ----------
    vae
        A trained model.
    z
        Codes ``(*b, n, d)``.
    x
        Observations ``(n, *event_shape)``.
    block
        The layer's number, 0 for that nearest to the data.
    """
    if vae.blocks is not None and not vae.blocks.stacked:
        law: Any = vae.prior_law()
        places = dict(enumerate(law.blocks.split(z)))
        total = log_likelihood(vae, z, x)
        for i in law.order[law.order.index(block) + 1 :]:
            total = total + law.law(i, places).log_prob(places[i])
        return total
    if block == 0:
        return log_likelihood(vae, z, x)
    p: Any = vae.prior_law()
    parts = dict(enumerate(p.blocks.split(z)))
    log: Tensor = p.law(block - 1, parts).log_prob(parts[block - 1])
    return log + log_likelihood(vae, z, x) if vae.heeds(block) else log


def layers_of(vae: LatentModel, units: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Return units by layer: number of the layer, and which of the units are in it."""
    if vae.blocks is None:
        return [(0, list(units))]
    of = vae.blocks.of_units
    return [
        (block, mine)
        for block in range(len(vae.blocks))
        if (mine := [u for u in units if of[u] == block])
    ]


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
