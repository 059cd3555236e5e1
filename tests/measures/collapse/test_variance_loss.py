"""Variances of reconstructions and samples against a linear model's closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pyrovae import build
from pyrovae.measures.collapse.variance_loss import _Variance, measure_variance_loss
from pyrovae.measures.flops import reconstruction_flops, step_flops
from pyrovae.models.contract import LatentModel
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram

_SCALE = 0.5


def _linear() -> torch.nn.Module:
    """Return x = 2 z + noise of sd 0.5 in one dimension, with its exact posterior."""
    vae = build(
        1,
        latent_dim=1,
        network={"name": "mlp", "hidden": []},
        likelihood={"name": "gaussian", "sigma": _SCALE},
    )
    # q(z|x): precision 1 + 4 / 0.25 = 17, mean x * 2 / 0.25 / 17.
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
    return vae


def test_an_exact_linear_model_loses_nothing_and_its_reconstructions_the_error() -> None:
    """With q the posterior and z | x drawn from it, E[x|z] = 2 z and z is N(0, 1)."""

    class Exact(LatentModel):
        space, latent_dim = "real", 1

        def encode(self, x: torch.Tensor) -> torch.distributions.Distribution:
            law = torch.distributions.Normal(x * 8 / 17, torch.full_like(x, 17**-0.5))
            return torch.distributions.Independent(law, 1)

        def prior_law(self) -> torch.distributions.Distribution:
            zero = torch.zeros(1)
            return torch.distributions.Independent(torch.distributions.Normal(zero, zero + 1), 1)

        def reconstruct(self, z: torch.Tensor) -> torch.Tensor:
            return 2 * z

    x = 2 * torch.randn(40_000, 1) + _SCALE * torch.randn(40_000, 1)
    found = measure_variance_loss(Exact(), x, seed=1)  # type: ignore[arg-type]
    assert found["data_variance"] == pytest.approx(4.25, rel=0.03)
    # z of all data together is N(0, 1): samples and reconstructions vary alike.
    assert found["reconstruction_variance"] == pytest.approx(4.0, rel=0.03)
    assert found["sample_variance"] == pytest.approx(4.0, rel=0.08)
    # Under q(x, z) = p(x) p(z|x) the decoder is the regression: the law of total variance holds.
    lost = found["data_variance"] - found["reconstruction_variance"]
    assert lost == pytest.approx(found["reconstruction_error"], abs=0.05)
    assert found["reconstruction_error"] == pytest.approx(_SCALE**2, rel=0.05)
    assert found["variance_loss"] == pytest.approx(
        found["data_variance"] - found["sample_variance"]
    )


def test_a_decoder_that_says_nothing_loses_all_variance() -> None:
    x = torch.randn(500, 1)
    found = measure_variance_loss(_linear(), x)  # type: ignore[arg-type]
    assert found["sample_variance"] == 0
    assert found["variance_loss"] == pytest.approx(float(x.var(correction=0)), rel=1e-5)
    assert found["reconstruction_error"] == pytest.approx(float(x.square().mean()), rel=1e-5)


def test_codes_without_a_mean_have_no_variance() -> None:
    vae = build(3, latent_dim=2, likelihood={"name": "categorical", "levels": 5, "of": "codes"})
    assert measure_variance_loss(vae, torch.randint(5, (10, 3)).float()) == {}


def test_variance_in_parts_is_numpys() -> None:
    x = np.random.default_rng(0).normal(1e4, 1.0, (1000, 3, 2))
    variance = _Variance()
    for part in torch.tensor(x).split([1, 600, 399]):
        variance.add(part)
    assert variance.mean == pytest.approx(x.var(0).mean(), rel=1e-10)


def test_operations_of_dense_layers_are_counted() -> None:
    vae = build(6, latent_dim=3, network={"name": "mlp", "hidden": [5]})
    # Encoder 6 → 5 → two heads of 3, decoder 3 → 5 → 6; two for each product.
    forward = 2 * (6 * 5 + 5 * 2 * 3 + 3 * 5 + 5 * 6)
    x = (torch.rand(4, 6) < 0.5).float()
    assert reconstruction_flops(vae, x) == forward
    before = {k: v.clone() for k, v in vae.state_dict().items()}
    program = LossProgram(vae, OBJECTIVES.create("elbo"))
    # Backward: each product's two factors have a gradient, but for the data.
    backward = 2 * forward - 2 * 6 * 5
    assert step_flops(program, x) == 4 * (forward + backward)
    assert all(torch.equal(v, before[k]) for k, v in vae.state_dict().items())
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_operations_of_a_checkpointed_prior_are_counted() -> None:
    # The VampPrior encodes its pseudo-inputs in the backward pass once more.
    x = (torch.rand(4, 6) < 0.5).float()
    network = {"name": "mlp", "hidden": [5]}
    prior = {"name": "vampprior", "pseudo_inputs": 7}
    plain, vamp = (
        step_flops(
            LossProgram(
                build(6, latent_dim=3, network=network, prior=p), OBJECTIVES.create("elbo")
            ),
            x,
        )
        for p in ("standard_normal", prior)
    )
    encoder = 2 * (6 * 5 + 5 * 2 * 3)
    assert vamp >= plain + 7 * 2 * encoder
