"""Shapes for any batch and image size; published layer sizes; clear refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyrovae.core.errors import ConfigError
from pyrovae.models.networks import NETWORKS

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [8]},
    "conv": {"channels": [4, 6], "dense": 8},
    "residual_conv": {"channels": [4, 6], "dense": 8, "blocks": 2},
    "burgess_conv": {},
}


def _shapes(name: str) -> list[tuple[int, int, int]]:
    if name == "burgess_conv":
        return [(1, 64, 64), (3, 64, 64)]
    return [(1, 8, 8), (3, 28, 20), (2, 13, 11)]


@pytest.mark.parametrize(("name", "shape"), [(n, s) for n in SMALL for s in _shapes(n)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_shapes_for_any_batch(name: str, shape: tuple[int, int, int], outputs: int) -> None:
    network = NETWORKS.create(name, **SMALL[name])
    encoder, features = network.encoder(shape)
    decoder = network.decoder(5, shape, outputs)
    for batch in ((), (3,), (2, 3)):
        assert encoder(torch.rand(*batch, *shape)).shape == (*batch, features)
        assert decoder(torch.rand(*batch, 5)).shape == (*batch, outputs, *shape)


@pytest.mark.parametrize("name", SMALL)
def test_batch_members_do_not_meet(name: str) -> None:
    network = NETWORKS.create(name, **SMALL[name])
    shape = _shapes(name)[0]
    encoder, _ = network.encoder(shape)
    decoder = network.decoder(5, shape, 1)
    x, z = torch.rand(3, *shape), torch.rand(3, 5)
    torch.testing.assert_close(encoder(x)[1], encoder(x[1]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(decoder(z)[1], decoder(z[1]), rtol=1e-4, atol=1e-6)
    assert (encoder(x)[0] - encoder(x)[1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    network = NETWORKS.create(name, **SMALL[name])
    shape = _shapes(name)[0]
    encoder, _ = network.encoder(shape)
    decoder = network.decoder(5, shape, 1)
    # Behind a zero-initialised layer, gradients begin with the second step.
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    (encoder(torch.rand(6, *shape)).square().mean()).backward()
    (decoder(torch.randn(6, 5)).square().mean()).backward()
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_residual_blocks_start_as_the_identity() -> None:
    plain = NETWORKS.create("residual_conv", channels=[4], dense=8, blocks=1)
    deep = NETWORKS.create("residual_conv", channels=[4], dense=8, blocks=3)
    torch.manual_seed(0)
    first, _ = plain.encoder((1, 8, 8))
    second, _ = deep.encoder((1, 8, 8))
    own = {k: v for k, v in first.state_dict().items() if "branch" not in k}
    # The convolution comes first in both, the dense layer last.
    for (_, a), (_, b) in zip(
        own.items(),
        {k: v for k, v in second.state_dict().items() if "branch" not in k}.items(),
        strict=True,
    ):
        b.copy_(a)
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(first(x), second(x))


# Weights and biases by hand, layer by layer, from the papers' tables, for one input channel.
@pytest.mark.parametrize(
    ("variant", "encoder_size", "decoder_size"),
    [
        (
            "burgess",
            (16 * 32 + 32) + 3 * (16 * 32 * 32 + 32) + (512 * 256 + 256) + (256 * 256 + 256),
            (10 * 256 + 256)
            + (256 * 256 + 256)
            + (256 * 512 + 512)
            + 3 * (16 * 32 * 32 + 32)
            + (16 * 32 + 1),
        ),
        (
            "locatello",
            (16 * 32 + 32)
            + (16 * 32 * 32 + 32)
            + (4 * 32 * 64 + 64)
            + (4 * 64 * 64 + 64)
            + (1024 * 256 + 256),
            (10 * 256 + 256)
            + (256 * 1024 + 1024)
            + (16 * 64 * 64 + 64)
            + (16 * 64 * 32 + 32)
            + (16 * 32 * 32 + 32)
            + (16 * 32 + 1),
        ),
    ],
)
def test_burgess_conv_has_the_published_sizes(
    variant: str, encoder_size: int, decoder_size: int
) -> None:
    network = NETWORKS.create("burgess_conv", variant=variant)
    encoder, features = network.encoder((1, 64, 64))
    decoder = network.decoder(10, (1, 64, 64), 1)
    assert features == 256
    assert sum(p.numel() for p in encoder.parameters()) == encoder_size
    assert sum(p.numel() for p in decoder.parameters()) == decoder_size


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("conv", (10,), "needs images"),
        ("residual_conv", (10,), "needs images"),
        ("residual_conv", (1, 3, 3), "halvings are too many"),
        ("burgess_conv", (1, 28, 28), "64×64"),
        ("burgess_conv", (4096,), "64×64"),
    ],
)
def test_wrong_observations_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    network = NETWORKS.create(name)
    with pytest.raises(ConfigError, match=message):
        network.encoder(shape)
    with pytest.raises(ConfigError, match=message):
        network.decoder(3, shape, 1)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mlp", {"hidden": [0]}),
        ("conv", {"channels": []}),
        ("residual_conv", {"channels": [-1]}),
        ("residual_conv", {"blocks": 0}),
        ("residual_conv", {"activation": "swish"}),
        ("burgess_conv", {"variant": "other"}),
    ],
)
def test_bad_parameters_are_refused(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=name):
        NETWORKS.resolve(name, parameters)
