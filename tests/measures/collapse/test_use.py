"""Informative and used units against closed forms, and against interventions by hand."""

from __future__ import annotations

import math

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.measures.collapse import measure_units, measure_use
from pyrovae.measures.collapse.directions import aligned, find_directions
from pyrovae.models.contract import LatentModel

#: Strengths |w_u|² / sigma² of the columns of a linear decoder: for each, whether its unit is
#: informative (the posterior's variance 1 / (1 + s) is below 0.8) and used (s is above 0.1 nats).
STRENGTHS = torch.tensor([9.0, 1.0, 0.3, 0.18, 0.04, 0.0])
INFORMATIVE = [True, True, True, False, False, False]
USED = [True, True, True, True, False, False]


def _linear(turn: Tensor | None = None) -> tuple[LatentModel, Tensor]:
    """Return probabilistic PCA with its exact posterior, and data from it."""
    d = len(STRENGTHS)
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(12, d, generator=generator)).Q
    weights = basis * STRENGTHS.sqrt()  # sigma = 1
    if turn is not None:
        weights = weights @ turn
    covariance = torch.linalg.inv(torch.eye(d) + weights.T @ weights)
    x = torch.randn(4096, d, generator=generator) @ weights.T
    x = x + torch.randn(4096, 12, generator=generator)

    def encode(values: Tensor) -> dist.TorchDistribution:
        mean = values @ weights @ covariance
        if turn is None:
            return dist.Normal(mean, covariance.diagonal().sqrt()).to_event(1)
        return dist.MultivariateNormal(mean, covariance)

    vae = pyrovae.wrap(encode, lambda z: dist.Normal(z @ weights.T, 1.0).to_event(1), latent_dim=d)
    return vae, x


def test_a_linear_model_has_what_theory_says() -> None:
    vae, x = _linear()
    assert aligned(vae, x)
    found = measure_use(vae, x, measure_units(vae, x), start=4096, most=4096)
    assert found.turned is None
    units = found.units
    # E[log p(x|z) - log p(x|z')] = s for the exact posterior, whose aggregate is the prior.
    assert ((units.cost - STRENGTHS).abs() < 4 * units.cost_se + 1e-6).all()
    torch.testing.assert_close(units.noise_share, 1 / (1 + STRENGTHS), atol=0.02, rtol=0)
    assert units.informative.tolist() == INFORMATIVE
    assert units.used.tolist() == USED


def test_data_are_replaced_until_the_error_decides() -> None:
    vae, x = _linear()
    found = measure_use(vae, x, measure_units(vae, x), start=64, most=4096).units
    assert found.used.tolist() == USED
    # Nothing is doubtful about the first and the last; the fourth is near the threshold.
    assert found.points[0] <= 256
    assert found.points[5] == 64
    assert found.points[3] > 256


def test_a_turned_code_counts_directions() -> None:
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1))).Q
    vae, x = _linear(turn)
    assert not aligned(vae, x)
    found = measure_use(vae, x, measure_units(vae, x), start=4096, most=4096)
    assert found.turned is not None
    assert found.turned.used.tolist() == USED
    assert found.turned.informative.tolist() == INFORMATIVE
    assert ((found.turned.cost - STRENGTHS).abs() < 4 * found.turned.cost_se + 0.01).all()
    # One by one every unit has its part in all that is said.
    assert found.units.used.all()
    # The directions are those that the code was turned by.
    rows = find_directions(vae, x).rows
    overlap = (rows @ turn.T).square()
    torch.testing.assert_close(overlap[:2].amax(1), torch.ones(2), atol=0.02, rtol=0)


def test_directions_heed_the_scale_of_the_prior() -> None:
    vae, x = _linear()
    wide = pyrovae.wrap(
        lambda v: dist.MultivariateNormal(
            3 * vae.encode(v).mean, scale_tril=3 * torch.diag_embed(vae.encode(v).stddev)
        ),
        lambda z: vae.decode(z / 3),
        dist.Normal(torch.zeros(6), 3.0).to_event(1),
    )
    found = measure_use(wide, x, measure_units(wide, x), start=4096, most=4096)
    assert found.counted.used.tolist() == USED
    assert found.counted.informative.tolist() == INFORMATIVE


def test_a_unit_that_says_nothing_is_not_used_however_far_from_the_prior() -> None:
    """The decoder is a wild function of it, outside of where codes are."""
    vae, x = _linear()

    def encode(values: Tensor) -> dist.TorchDistribution:
        q = vae.encode(values)
        scale = q.stddev.clone()
        scale[:, 5] = 0.01
        return dist.Normal(q.mean, scale).to_event(1)

    def decode(z: Tensor) -> dist.TorchDistribution:
        law = vae.decode(z)
        return dist.Normal(law.mean + 50 * z[..., 5:].pow(3), 1.0).to_event(1)

    odd = pyrovae.wrap(encode, decode, latent_dim=6)
    found = measure_use(odd, x, measure_units(odd, x), start=512, most=4096)
    assert found.units.used.tolist() == USED


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [
        ("laplace", "mean_field_normal"),
        ("gaussian_mixture", "mean_field_normal"),
        ("standard_normal", "planar"),
    ],
)
def test_a_trained_model_agrees_with_interventions_by_hand(prior: str, posterior: str) -> None:
    generator = torch.Generator().manual_seed(2)
    causes = torch.randn(1500, 2, generator=generator)
    x = (
        (causes @ torch.randn(2, 20, generator=generator) * 2)
        .sigmoid()
        .bernoulli(generator=generator)
    )
    vae = pyrovae.build(
        20, latent_dim=4, prior=prior, posterior=posterior, network={"name": "mlp", "hidden": [32]}
    )
    vae = pyrovae.fit(vae, x, steps=600, records=1, lr=1e-2, batch_size=64, progress=False)
    units = measure_units(vae, x)
    found = measure_use(vae, x, units, start=1500, most=1500, seed=3)
    torch.manual_seed(4)
    basis = torch.eye(4) if found.directions is None else found.directions.rows
    for row, cost, error in zip(basis, found.counted.cost, found.counted.cost_se, strict=True):
        with torch.no_grad():
            z = vae.encode(x).sample()
            other = vae.encode(x.roll(7, 0)).sample()
            # Under a prior of one scale for all units, standardising changes no direction.
            new = z - (z @ row)[:, None] * row + (other @ row)[:, None] * row
            by_hand = vae.decode(z).log_prob(x) - vae.decode(new).log_prob(x)
        both = math.hypot(float(error), float(by_hand.std()) / len(x) ** 0.5)
        assert abs(float(by_hand.mean() - cost)) < 4 * both
