"""Shapes for any batch and image size; published layer sizes; clear refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import EVENT_SHAPE, small_images
from torch import nn

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.core.measuring import measuring
from pyrovae.core.noise import Supply
from pyrovae.core.seeded import seeded
from pyrovae.datasets.base import as_float
from pyrovae.models.networks import NETWORKS
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Member, Snapshot, Trainer, TrainingSettings
from pyrovae.training.streams import BatchStream, NoiseStream

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [8]},
    "gated_mlp": {"hidden": [8]},
    "identifiable_mlp": {"hidden": [8, 6]},
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


# --- gates, normalisation, dropout --------------------------------------------------------------


def test_a_gated_layer_by_hand() -> None:
    """Two layers, each (W h + b) * sigmoid(V h + c), of weights that stand in one matrix."""
    encoder, _ = NETWORKS.create("gated_mlp", hidden=[5, 3]).encoder((7,))
    linear = [m for m in encoder.modules() if isinstance(m, nn.Linear)]
    h = x = torch.randn(4, 7)
    for layer in linear:
        (w, v), (b, c) = layer.weight.chunk(2), layer.bias.chunk(2)
        h = (h @ w.T + b) / (1 + torch.exp(-(h @ v.T + c)))
    torch.testing.assert_close(encoder(x), h)
    assert [layer.out_features for layer in linear] == [10, 6]


def test_the_order_inside_a_hidden_layer() -> None:
    """Linear, norm, activation, dropout; behind the last layer of a decoder there is nothing."""
    network = NETWORKS.create("mlp", hidden=[5], norm="layer", dropout=0.5, activation="tanh")
    encoder, _ = network.encoder((7,))
    _, linear, *_, dropout = encoder
    assert isinstance(dropout, nn.Dropout)
    x, encoder = torch.randn(4, 7), encoder.eval()
    h = linear(x)
    normed = (h - h.mean(-1, keepdim=True)) / (h.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(encoder(x), normed.tanh())
    assert type(network.decoder(2, (7,), 1)[-2]) is nn.Linear
    plain = NETWORKS.create("mlp", hidden=[5]).encoder((7,))[0]
    assert list(plain.state_dict()) == ["1.weight", "1.bias"]  # as it always was


def test_batch_statistics_are_over_draws_and_data() -> None:
    decoder = NETWORKS.create("mlp", hidden=[5], norm="batch").decoder(2, (7,), 1)
    linear, norm = decoder[0], decoder[1].inner
    z = torch.randn(6, 4, 2)  # six draws for each of four data
    h = linear(z).flatten(0, 1)
    expected = decoder[2:]((h - h.mean(0)) / (h.var(0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(decoder(z).flatten(0, 1), expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * h.mean(0))
    assert linear.bias is None


OPTIONS: dict[str, dict[str, Any]] = {
    "mlp-batch": {"name": "mlp", "hidden": [6], "norm": "batch", "dropout": 0.3},
    "mlp-layer": {"name": "mlp", "hidden": [6], "norm": "layer", "dropout": 0.3},
    "gated-batch": {"name": "gated_mlp", "hidden": [6], "norm": "batch", "dropout": 0.3},
    "gated-layer": {"name": "gated_mlp", "hidden": [6], "norm": "layer", "dropout": 0.3},
    "conv-batch": {"name": "conv", "channels": [2, 3], "dense": 6, "norm": "batch", "dropout": 0.3},
    "conv-layer": {"name": "conv", "channels": [2, 3], "dense": 6, "norm": "layer", "dropout": 0.3},
}


def _program(option: str, seed: int = 0) -> LossProgram:
    vae = pyrovae.build(EVENT_SHAPE, latent_dim=2, network=OPTIONS[option], seed=seed)
    with seeded(seed):
        return LossProgram(vae, Elbo())


@pytest.mark.parametrize("option", OPTIONS)
def test_they_train_as_a_plain_loop_does_alone_together_and_resumed(option: str) -> None:
    settings = TrainingSettings(steps=20, batch_size=8, records=2, lr=1e-2, optimizer="sgd")
    data = small_images()
    by_hand = _program(option)
    by_hand.train()
    noise = NoiseStream(by_hand.record(as_float(data[:8])), 0)
    batches = BatchStream(len(data), 8, 0)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=1e-2)
    for step in range(settings.steps):
        with Supply(noise.at(step)):
            loss, _ = by_hand(as_float(data[batches.at(step)]), {}, len(data))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    kept: list[Snapshot] = []
    alone = Member(_program(option), 0, settings, keep=lambda snapshot, _: kept.append(snapshot))
    trainer = Trainer(alone.program, data, settings, compiled=False)
    list(trainer.train_together([alone], keep_seconds=0))
    assert 0 < kept[0].step < settings.steps
    resumed = Member(_program(option, 9), 0, settings, start=kept[0])
    list(trainer.train_together([resumed]))
    together = [Member(_program(option, seed), seed, settings) for seed in (0, 1)]
    list(Trainer(alone.program, data, settings, compiled=False, size=2).train_together(together))
    state = alone.program.state_dict()
    for name, value in by_hand.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=1e-5, msg=name)
        beside = together[0].program.state_dict()[name]
        torch.testing.assert_close(beside, value, rtol=0, atol=1e-5, msg=name)
        assert torch.equal(resumed.program.state_dict()[name], state[name])


def test_measures_see_no_noise_of_dropout() -> None:
    vae = _program("mlp-batch").vae
    vae.train()
    x = as_float(small_images())
    with torch.no_grad():
        first, second = (vae.encode(x).mean for _ in range(2))
    assert not torch.equal(first, second)
    with measuring(vae), torch.no_grad():
        first, second = (vae.encode(x).mean for _ in range(2))
    assert torch.equal(first, second)


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
