"""The discrepancy of Wasserstein auto-encoders against double sums, and what both forms reach."""

from __future__ import annotations

import math

import pyro
import pytest
import torch
from pyro import distributions as dist

import pyrovae
from objectives.gaussian import LinearGaussian, data
from pyrovae.objectives import OBJECTIVES, WaeGan
from pyrovae.objectives.wasserstein import multiquadratic_mmd
from pyrovae.training.loop import Trainer
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.step import LossProgram


def test_discrepancy_is_the_double_sum() -> None:
    torch.manual_seed(0)
    z, p = torch.randn(5, 2) + 1, torch.randn(4, 2)

    def kernel(a: torch.Tensor, b: torch.Tensor, width: float) -> float:
        square = float(((a - b) ** 2).sum())
        return sum(s * width / (s * width + square) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    width = sum(float(((p[i] - p[j]) ** 2).sum()) for i, j in pairs) / 12
    expected = (
        sum(kernel(z[i], z[j], width) for i in range(5) for j in range(5) if i != j) / 20
        + sum(kernel(p[i], p[j], width) for i, j in pairs) / 12
        - 2 * sum(kernel(a, b, width) for a in z for b in p) / 20
    )
    assert float(multiquadratic_mmd(z, p)) == pytest.approx(expected, rel=1e-5)


def test_discrepancy_is_zero_on_average_for_one_law_and_not_for_two() -> None:
    torch.manual_seed(0)
    same = torch.stack(
        [multiquadratic_mmd(torch.randn(40, 3), torch.randn(40, 3)) for _ in range(200)]
    )
    assert abs(same.mean()) < 4 * same.std() / 200**0.5
    other = torch.stack(
        [multiquadratic_mmd(0.5 * torch.randn(40, 3), torch.randn(40, 3)) for _ in range(50)]
    )
    assert other.mean() > 20 * same.std() / 200**0.5


def test_the_best_discriminator_says_the_log_ratio_of_both_laws() -> None:
    """Goodfellow et al. 2014, proposition 1: logits become log p(z) - log q(z)."""
    torch.manual_seed(0)
    objective, p = WaeGan(hidden=[32]), dist.Normal(0.0, 1.0).expand([4000, 1]).to_event(1)
    objective.discriminator(torch.zeros(1, 1))
    adam = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(400):
        adam.zero_grad()
        loss = objective.discriminator_loss(0.8 + 0.6 * torch.randn(4000, 1), p)
        loss.backward()
        adam.step()
    assert loss < math.log(2) - 0.05
    at = torch.linspace(-0.5, 2, 6).unsqueeze(-1)
    exact = dist.Normal(0.0, 1.0).log_prob(at) - dist.Normal(0.8, 0.6).log_prob(at)
    assert (objective.discriminator(at) - exact).abs().max() < 0.25


def test_model_and_discriminator_have_gradients_of_their_own() -> None:
    vae, x = LinearGaussian(), data(20)
    objective = WaeGan(weight=2.0, hidden=[8])
    objective.double().discriminator(torch.zeros(1, 2, dtype=torch.float64))
    pyro.set_rng_seed(0)
    loss, found = objective(vae, x, {"weight": torch.tensor(2.0)}, 20)
    own = list(objective.parameters())
    theirs = torch.autograd.grad(loss, own, retain_graph=True)
    pyro.set_rng_seed(0)
    _, found = objective(vae, x, {"weight": torch.tensor(2.0)}, 20)
    # The prior's draws come after those of the guide, and z has no gradient for the discriminator.
    expected = torch.autograd.grad(
        objective.discriminator_loss(found.z.detach(), found.p), own, allow_unused=True
    )
    assert all(a.shape == b.shape for a, b in zip(theirs, expected, strict=True))
    guide = [p for n, p in vae.named_parameters() if vae.is_guide_parameter(n)]
    without = torch.autograd.grad(found.distortion.mean(), guide, retain_graph=True)
    pushed = torch.autograd.grad(
        found.distortion.mean()
        + 2 * torch.nn.functional.softplus(-objective.discriminator(found.z)).mean(),
        guide,
    )
    found_again = torch.autograd.grad(loss, guide)
    for a, b, c in zip(found_again, pushed, without, strict=True):
        torch.testing.assert_close(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("name", ["wae_mmd", "wae_gan"])
def test_codes_of_all_data_together_become_the_priors(name: str) -> None:
    """Whitened by the discrepancy alone, while a plain autoencoder's codes are anywhere."""
    x = data(400).float()
    options = {
        "autoencoder": {},
        "wae_mmd": {"weight": 100.0},
        "wae_gan": {"weight": 10.0, "hidden": [32], "discriminator_lr": 1e-2},
    }
    misses = {}
    for objective in ("autoencoder", name):
        torch.manual_seed(0)
        vae = pyrovae.build(
            4, latent_dim=2, likelihood="gaussian", network={"name": "mlp", "hidden": [16]}
        )
        program = LossProgram(vae, OBJECTIVES.create(objective, **options[objective]))
        settings = TrainingSettings(steps=600, batch_size=100, lr=1e-2, records=1)
        Trainer(program, x, settings, compiled=False).train(program, seed=0)
        with torch.no_grad():
            law = vae.encode(x)
        second = law.mean.T.cov() + law.variance.mean(0).diag()
        misses[objective] = float(
            (second - torch.eye(2)).abs().max() + law.mean.mean(0).abs().max()
        )
    assert misses[name] < 0.5 < misses["autoencoder"] / 2, misses
