"""The reference posterior where it is hard: several modes, the sphere, priors without density."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from families import small_images, small_vae
from torch import Tensor, nn

from pyrovae.core.errors import PyrovaeError
from pyrovae.datasets import load_dataset
from pyrovae.datasets.base import as_float
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.diagnose import diagnose
from pyrovae.measures.posterior.reference import count_modes, main_directions, sample_posterior
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.models.vae import VAE, build_vae
from pyrovae.report.diagnosis import DiagnosisReport, said
from pyrovae.report.diagnosis.modes import modes
from pyrovae.study.store.diagnoses import DiagnosisFolder

SQUARE = 4.0


class Fold(nn.Module):
    """Decodes z to a multiple of z²: codes z and -z make the same data."""

    def forward(self, z: Tensor) -> Tensor:
        return (SQUARE * z**2).unsqueeze(-2)


def folded(sigma: float) -> VAE:
    vae = build_vae(
        (1,),
        1,
        network={"name": "mlp", "hidden": []},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian", "sigma": sigma, "learned": False},
    )
    vae.decoder = Fold()
    return vae


def test_two_modes_are_seen_whether_chains_cross_or_not() -> None:
    x = torch.full((3, 1), SQUARE)  # z = ±1
    far = sample_posterior(folded(0.3), x, warmup=40, draws=120, seed=0)
    assert far.multimodal.all()
    # Some point has chains in both modes; they never meet, and it fails the gate.
    signs = np.sign(far.z[..., 0]).mean(1)
    assert (np.abs(signs) == 1).all()
    mixed = np.abs(signs.mean(0)) < 1
    assert mixed.any()
    assert not far.passed[mixed].any()
    assert (far.rhat[mixed] > 1.5).all()


def test_several_modes_are_told_and_drawn(tmp_path: Path) -> None:
    x = load_dataset("linear_gaussian", rank=1, dim=1, n_train=10, n_test=50, noise_scale=0.1)
    settings = DiagnosticsSettings(
        points=6, warmup=40, draws=120, guide_samples=200, annealed_chains=2, temperatures=10,
        leapfrog=1, simulated=2, search_steps=5, simulations=100, calibration_draws=15,
    )  # fmt: skip
    found = diagnose(folded(0.3), x, settings, seed=0)
    # z and -z make the same data; data that no code makes have one mode, at 0.
    at = x.test.floats(slice(6)).squeeze(1).numpy()
    several = found.points["multimodal"].to_numpy()
    assert ((at > 2) | (at < -0.5)).sum() >= 2
    assert several[at > 2].all()
    assert not several[at < -0.5].any()
    stored = DiagnosisFolder(tmp_path / "run")
    stored.write(found, settings)
    assert f"{found.scores['points_multimodal']} points have" in said(stored.scores())
    drawn = modes(DiagnosisReport.of_run(stored))
    assert set(drawn.data["datum"]) == set(found.points["datum"][found.points["multimodal"]])
    assert (drawn.data["modes"] > 1).all()
    left_out = set(found.points["datum"][~found.points["passed"]])
    assert left_out
    assert f"{len(left_out)} FAIL" in said(stored.scores())
    assert left_out.isdisjoint(found.marginals["datum"])


def test_modes_of_known_samples() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=4000)
    side = np.where(rng.random(4000) < 0.3, 5.0, 0.0)
    assert count_modes(normal) == 1
    assert count_modes(rng.uniform(size=4000)) == 1
    assert count_modes(rng.standard_t(3, size=4000)) == 1
    assert count_modes(rng.exponential(size=4000)) == 1
    assert count_modes(normal + side) == 2
    assert count_modes(normal + 2 * np.sign(side)) == 1  # one shoulder, no valley
    # An outlying per mille is no mode.
    assert count_modes(np.where(np.arange(4000) < 4, 30.0, normal)) == 1
    assert count_modes(np.zeros(10)) == 1


def test_modes_far_apart_in_many_units_together_are_seen() -> None:
    # 1.6 standard deviations in each unit leave no valley; 6.4 along the diagonal do.
    rng = np.random.default_rng(0)
    side = np.where(rng.random((4, 500, 2, 1)) < 0.5, -0.8, 0.8)
    scale = np.geomspace(0.01, 10, 16)
    apart = scale * (rng.normal(size=(4, 500, 2, 16)) + side)
    together = scale * rng.normal(size=(4, 500, 2, 16))
    for z, expected in ((apart, 2), (together, 1)):
        assert count_modes(z[:, :, 0, 3].ravel()) == 1
        along = np.einsum("cdnl,nl->ncd", z, main_directions(z)).reshape(2, -1)
        assert [count_modes(values) for values in along] == [expected] * 2


def test_components_of_a_mixture_prior_are_seen() -> None:
    vae = build_vae(
        (1,),
        2,
        network={"name": "mlp", "hidden": []},
        prior={"name": "gaussian_mixture", "components": 2},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian", "sigma": 1.0, "learned": False},
    )
    with torch.no_grad():
        # Nothing of the code reaches the data: the posterior is the prior, with both components.
        vae.decoder[0].weight.zero_()
        vae.prior.loc.copy_(torch.tensor([[-6.0, 0.0], [6.0, 0.0]]))
    found = sample_posterior(vae, torch.zeros(4, 1), warmup=40, draws=120, seed=0)
    # Chains never cross; of a point whose chains all began in one component nothing can be seen.
    seen = np.abs(np.sign(found.z[..., 0]).mean((0, 1))) < 1
    assert seen.sum() >= 2
    assert found.multimodal[seen].all()
    assert not found.passed[seen].any()


def test_on_the_sphere_draws_agree_with_importance_sampling() -> None:
    vae = build_vae(
        (1, 8, 8),
        3,
        network={"name": "mlp", "hidden": [16]},
        prior={"name": "hyperspherical_uniform"},
        posterior={"name": "von_mises_fisher"},
        likelihood={"name": "bernoulli"},
    )
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(3)
    x = as_float(small_images())[:2]
    found = sample_posterior(vae, x, chains=32, warmup=40, draws=40, seed=0)
    np.testing.assert_allclose(np.linalg.norm(found.z, axis=-1), 1, rtol=1e-5)
    with torch.no_grad():
        z = vae.prior_law().sample((100_000,))
        weights = torch.stack([vae.decode(z).log_prob(datum).softmax(0) for datum in x])
        mean = (weights @ z).numpy()
    error = found.z.std((0, 1)) / np.sqrt(found.ess_bulk)
    assert (np.abs(found.z.mean((0, 1)) - mean) < 5 * error + 0.005).all()


def test_density_is_the_models_with_its_gradient() -> None:
    vae = small_vae("laplace")
    x = as_float(small_images())[:5]
    u = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    log_prior, log_likelihood = vae.prior_law().log_prob(u), vae.decode(u).log_prob(x)
    found = Density(vae, x)(u.detach())
    torch.testing.assert_close(found.log_prior, log_prior.detach())
    torch.testing.assert_close(found.log_likelihood, log_likelihood.detach())
    for value, gradient in (
        (log_prior, found.prior_gradient),
        (log_likelihood, found.likelihood_gradient),
    ):
        torch.testing.assert_close(torch.autograd.grad(value.sum(), u)[0], gradient)


def test_prior_without_density_is_refused() -> None:
    vae = small_vae("two_stage")
    with pytest.raises(PyrovaeError, match="no density"):
        sample_posterior(vae, as_float(small_images())[:2])
