"""Brenier maps against autograd, and a decoder that is inverted numerically."""

from __future__ import annotations

import pytest
import torch
from families import small_images
from torch.nn.functional import softplus

from pyrovae.core.errors import ConfigError
from pyrovae.models.networks import NETWORKS
from pyrovae.models.networks.brenier import BrenierMap
from pyrovae.models.vae import build_vae
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Trainer, TrainingSettings


@pytest.mark.parametrize("hidden", [[7], [7, 5, 6]])
def test_the_map_is_the_gradient_of_a_convex_potential(hidden: list[int]) -> None:
    torch.manual_seed(0)
    found = BrenierMap(3, hidden, strength=0.4).double()
    z = 2 * torch.randn(20, 3, dtype=torch.float64)

    def potential(code: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(0, dtype=torch.float64)
        for k, read in enumerate(found.reads):
            given = read.weight @ code + read.bias
            if k:
                given = given + softplus(found.raw[k - 1]) @ h
            h = softplus(given)
        return 0.2 * code @ code + softplus(found.raw_weight) @ h

    expected = torch.func.vmap(torch.func.grad(potential))(z)
    torch.testing.assert_close(found(z), expected)
    curvature = torch.func.vmap(torch.func.hessian(potential))(z)
    assert torch.linalg.eigvalsh(curvature).min() > 0.4  # L is what is there without the network
    torch.testing.assert_close(torch.func.vmap(torch.func.jacrev(found))(z), curvature)
    torch.testing.assert_close(found.inverse(found(z)), z, atol=1e-8, rtol=0)


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_the_decoder_is_one_to_one(strength: float) -> None:
    """Codes come back from what they are decoded to, and distances keep a share of l."""
    torch.manual_seed(1)
    network = NETWORKS.create("identifiable_mlp", hidden=[8], inverse_lipschitz=strength)
    decoder = network.decoder(2, (3, 4), 2)
    with torch.no_grad():
        for parameter in decoder.parameters():  # as if trained
            parameter.add_(0.5 * torch.randn_like(parameter))
    decoder.double()
    z = 3 * torch.randn(4, 10, 2, dtype=torch.float64)
    with torch.no_grad():
        output = decoder(z)
        assert output.shape == (4, 10, 2, 3, 4)
        torch.testing.assert_close(decoder.inverse(output), z, atol=1e-5, rtol=0)
    flat = z.flatten(0, 1)
    shares = torch.pdist(decoder(flat).flatten(1)) / torch.pdist(flat)
    assert shares.min() >= strength
    # A decoder whose weights all died still tells codes apart; that of an mlp would not.
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
    shares = torch.pdist(decoder(flat).flatten(1)) / torch.pdist(flat)
    torch.testing.assert_close(shares, torch.full_like(shares, strength))


def test_it_trains() -> None:
    vae = build_vae(
        (1, 8, 8),
        2,
        network={"name": "identifiable_mlp", "hidden": [8]},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "bernoulli"},
    )
    program = LossProgram(vae, Elbo())
    settings = TrainingSettings(steps=40, batch_size=20, lr=1e-2, records=4)
    history = Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    assert history[-1].loss < history[1].loss


def test_too_few_numbers_cannot_tell_codes_apart() -> None:
    with pytest.raises(
        ConfigError, match="network: 'identifiable_mlp' is one-to-one, and 4 numbers"
    ):
        build_vae(
            (4,),
            5,
            network={"name": "identifiable_mlp", "hidden": [4]},
            prior={"name": "standard_normal"},
            posterior={"name": "mean_field_normal"},
            likelihood={"name": "bernoulli"},
        )
