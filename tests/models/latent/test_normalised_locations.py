"""Locations of one variance over a minibatch: moments, the bound on the rate, evaluation."""

from __future__ import annotations

import pytest
import torch
from families import small_images
from torch.distributions import Normal, kl_divergence

from pyrovae.core.errors import ConfigError
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.posteriors.base import NormalisedHead
from pyrovae.models.vae import build_vae
from pyrovae.objectives import LatentReconstruction, Rae
from pyrovae.study.plan.compatibility import training_conflict
from pyrovae.training import LossProgram, Trainer, TrainingSettings

FAMILIES = [name for name in POSTERIORS if "gamma" in POSTERIORS.parameters(name).model_fields]


def test_which_families_have_it() -> None:
    assert set(FAMILIES) == {
        "mean_field_normal", "laplace", "logistic", "student_t", "fixed_scale_normal",
        "full_rank_normal", "low_rank_normal",
    }  # fmt: skip
    for name in FAMILIES:  # runs without keep their identity
        assert "gamma" not in POSTERIORS.resolve(name, {})
        with pytest.raises(ConfigError, match="greater than 0"):
            POSTERIORS.create(name, 3, 2, gamma=0.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_locations_have_the_moments_that_are_asked_for(name: str) -> None:
    family = POSTERIORS.create(name, 6, 3, gamma=0.7)
    with torch.no_grad():
        family.loc.bias.copy_(torch.tensor([0.5, -1.0, 0.0]))
    mean = family(3 * torch.randn(500, 6) + 1).mean
    torch.testing.assert_close(mean.mean(0), family.loc.bias, atol=1e-5, rtol=0)
    torch.testing.assert_close(mean.std(0, correction=0), torch.full((3,), 0.7), atol=1e-3, rtol=0)


def test_the_rate_stays_above_its_bound_however_the_guide_is() -> None:
    """KL(N(m, s²) || N(0, 1)) >= m²/2, and the mean of m² is gamma² + beta² (Zhu et al., eq. 8)."""
    family = POSTERIORS.create("mean_field_normal", 6, 3, gamma=0.7)
    with torch.no_grad():
        family.loc.weight.mul_(0.01)
        family.scale.weight.zero_()  # scales of 1: as collapsed as can be
        q = family(100 * torch.randn(400, 6))
        rate = kl_divergence(q.base_dist, Normal(0.0, 1.0)).sum(1).mean()
    assert float(rate) == pytest.approx(3 * 0.7**2 / 2, rel=0.01)


@pytest.mark.parametrize("spread", [1e-4, 1.0])
def test_an_encoder_that_tells_little_apart_has_the_same_locations(spread: float) -> None:
    head = NormalisedHead(6, 3, gamma=0.7)
    features = torch.randn(500, 6)
    expected = head(features)
    torch.testing.assert_close(head(spread * features), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(expected.std(0, correction=0), torch.full((3,), 0.7))


def test_evaluation_takes_running_moments_one_datum_at_a_time() -> None:
    head = NormalisedHead(4, 2, gamma=0.5)
    mean, variance = torch.zeros(2), torch.ones(2)
    for _ in range(4):
        features = torch.randn(10, 5, 4) + 2
        raw = (features @ head.weight.T).flatten(0, 1)
        assert head(features).shape == (10, 5, 2)
        mean = 0.9 * mean + 0.1 * raw.mean(0)
        variance = 0.9 * variance + 0.1 * raw.var(0)
    head.eval()
    one = torch.randn(4)
    expected = 0.5 * (one @ head.weight.T - mean) / variance.sqrt() + head.bias
    torch.testing.assert_close(head(one), expected)


def test_it_trains_and_keeps_its_moments_in_the_step() -> None:
    vae = build_vae(
        (1, 8, 8),
        2,
        network={"name": "mlp", "hidden": [8]},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal", "gamma": 0.8},
        likelihood={"name": "bernoulli"},
    )
    program = LossProgram(vae, Rae(penalty="none"))
    settings = TrainingSettings(steps=60, batch_size=20, lr=1e-2, records=2)
    Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    vae.eval()
    mean = vae.encode(small_images().float() / 255).mean
    torch.testing.assert_close(mean.std(0), torch.full((2,), 0.8), atol=0.1, rtol=0)
    alone = settings.model_copy(update={"batch_size": 1})
    found = training_conflict(vae, program.objective, "elbo", alone)
    assert found is not None
    assert found[0] == "training.batch_size"
    assert training_conflict(vae, program.objective, "rae", settings) is None
    found = training_conflict(vae, LatentReconstruction(), "latent_reconstruction", settings)
    assert found == (
        "posterior.gamma",
        "normalises over a minibatch of data, and objective 'latent_reconstruction' encodes "
        "reconstructions too",
    )
