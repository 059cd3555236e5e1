"""What the noise of removed units did to the decoder on average, absorbed into a bias.

A hidden unit behind a ReLU is on more often, and on average more, if its input is noisy: the mean
of relu(a + noise) is above relu(a). A decoder that was trained with the noise of idle units counts
on that. Without it every hidden unit is a little lower, and the reconstructions are worse by more
than what the units said of x.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor, nn

from pyrovae.core.measuring import in_mode, measuring
from pyrovae.core.seeded import seeded
from pyrovae.models.vae import VAE
from pyrovae.shrink.pruning.deep import passing

_CHUNK = 1000


def absorb_noise(
    vae: VAE, pruned: VAE, directions: Tensor, x: Tensor, *, seed: int = 0
) -> Tensor | None:
    """Shift the bias of the decoder's second layer, so that its mean input has its old effect.

    Parameters
    ----------
    vae, pruned
        The model, and what is left of it, which is changed.
    directions
        Of the code, that the units of ``pruned`` stand for, ``(k, latent_dim)``.
    x
        Observations ``(n, *event_shape)``.
    seed
        Of their codes; the global random state is left as it was.

    Returns
    -------
    Tensor or None
        The shift, one number for each output of that layer; ``None`` for a decoder whose second
        layer is not dense: nothing was changed.
    """
    reader, reader_pruned = _second_layer(vae.decoder), _second_layer(pruned.decoder)
    if reader is None or reader_pruned is None or reader_pruned.bias is None:
        return None
    with (
        measuring(vae),
        in_mode(pruned, training=False),
        torch.no_grad(),
        seeded(seed, x.device),
    ):
        z = torch.cat([vae.encode(part).sample() for part in x.split(_CHUNK)])
        before = _mean_input(vae.decoder, reader, z)
        after = _mean_input(pruned.decoder, reader_pruned, z @ directions.T)
        shift = reader.weight @ (before - after)
        reader_pruned.bias.add_(shift)
    return shift


def _second_layer(decoder: nn.Module) -> nn.Linear | None:
    """Return the second layer with parameters, if it is dense."""
    layers = (m for m in decoder.modules() if any(True for _ in m.parameters(recurse=False)))
    second = next(islice(layers, 1, None), None)
    return second if isinstance(second, nn.Linear) else None


def _mean_input(decoder: nn.Module, layer: nn.Linear, z: Tensor) -> Tensor:
    """Return the mean of what a layer sees, over codes ``(n, d)``."""
    total = torch.zeros(layer.in_features)
    for taken, _ in passing(decoder, layer, z):
        total += taken.reshape(-1, layer.in_features).sum(0)
    return total / len(z)
