"""Decoders whose every layer reads the code: by hand, and that no layer loses it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv_transpose2d

import pyrovae
from pyrovae.measures.collapse.sensitivity import first_layer
from pyrovae.models.networks import NETWORKS


def test_dense_layers_by_hand() -> None:
    decoder = NETWORKS.create("mlp", hidden=[4, 6], activation="tanh", skip=True).decoder(
        2, (5,), 1
    )
    first, second, last = [m for m in decoder.modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in (first, second, last)] == [2, 8, 6]
    z = torch.randn(3, 2)
    h = torch.tanh(z @ first.weight.T + first.bias)
    h = torch.tanh(h @ second.weight[:, :6].T + z @ second.weight[:, 6:].T + second.bias)
    expected = h @ last.weight[:, :4].T + z @ last.weight[:, 4:].T + last.bias
    torch.testing.assert_close(decoder(z)[:, 0], expected)


def test_convolutions_have_the_code_as_channels() -> None:
    network = NETWORKS.create("conv", channels=[3, 4], dense=6, skip=True)
    decoder = network.decoder(2, (1, 8, 8), 1)
    z = torch.randn(3, 2)
    *stages, last = decoder.inner.stages
    h = z
    for i, stage in enumerate(stages):
        inputs = h if not i else torch.cat([h, z if h.dim() == 2 else planes(z, h)], 1)
        h = stage(inputs)
    layer = next(m for m in last.modules() if isinstance(m, nn.ConvTranspose2d))
    own = conv_transpose2d(h, layer.weight[:3], layer.bias, stride=2, padding=1)
    codes = conv_transpose2d(planes(z, h), layer.weight[3:], stride=2, padding=1)
    torch.testing.assert_close(decoder(z)[:, 0], own + codes)


def planes(z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return torch.stack([z[:, :, None]] * h.shape[2], 2).expand(-1, -1, -1, h.shape[3])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mlp", {"hidden": [8]}),
        ("gated_mlp", {"hidden": [8]}),
        ("conv", {"channels": [4]}),
        ("residual_conv", {"channels": [4]}),
    ],
)
def test_a_first_layer_that_dies_does_not_take_the_code_with_it(
    name: str, parameters: dict[str, Any]
) -> None:
    """Zeros in the weights that read the code first leave a plain decoder nothing to go by."""
    for skip in (False, True):
        parts = {"name": name, **parameters, "skip": skip}
        vae = pyrovae.build((1, 8, 8), latent_dim=3, network=parts)
        dense = next(m for m in vae.decoder.modules() if isinstance(m, nn.Linear))
        assert (first_layer(vae) is dense) == (not skip)
        with torch.no_grad():
            dense.weight.zero_()
            told = vae.decode(torch.randn(2, 3)).mean.diff(dim=0).abs().max()
        assert (told > 1e-4) == skip


def test_runs_without_keep_their_identity() -> None:
    for name in ("mlp", "gated_mlp", "conv", "residual_conv"):
        assert "skip" not in NETWORKS.resolve(name, {"skip": False})
