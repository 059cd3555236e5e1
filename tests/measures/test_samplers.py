"""Laws of codes against scikit-learn's densities and closed forms, and what a run makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset, Split
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.measures.samplers import FlowSampler, MixtureSampler, fit_sampler
from pyrovae.measures.samplers.measure import measure_samplers
from pyrovae.models.vae import VAE


def codes(n: int, seed: int = 0) -> Tensor:
    """Return codes in two heaps."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=generator) * torch.tensor([0.5, 0.2])
    return z + torch.where(torch.arange(n) % 3 == 0, -1.5, 1.0).unsqueeze(1)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_the_mixture_is_scikit_learns(covariance: str) -> None:
    z = codes(400)
    law = MixtureSampler(components=2, covariance=covariance).fit(z, seed=3)  # type: ignore[arg-type]
    other = GaussianMixture(2, covariance_type=covariance, max_iter=1000, random_state=3)
    other.fit(z.double().numpy())
    at = codes(50, seed=1)
    np.testing.assert_allclose(law.log_prob(at), other.score_samples(at.double()), atol=2e-3)
    drawn = law.sample((20_000,))
    mean = torch.from_numpy((other.weights_[:, None] * other.means_).sum(0)).float()
    assert (drawn.mean(0) - mean).abs().max() < 4 * float(drawn.std(0).max()) / 20_000**0.5
    with pytest.raises(ConfigError, match="10 components are too many for 12 codes"):
        MixtureSampler().fit(codes(12), seed=0)


def test_the_flow_is_a_density_that_comes_near_the_best() -> None:
    torch.manual_seed(0)
    law = FlowSampler(steps=250, hidden=[32], transforms=2).fit(codes(3000), seed=0)
    axis = torch.linspace(-4, 4, 161)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        assert float(law.log_prob(grid).exp().sum() * 0.05**2) == pytest.approx(1, abs=0.02)
        test = codes(3000, seed=1)
        found = float(law.log_prob(test).mean())
    own = [Normal(torch.tensor(m), torch.tensor([0.5, 0.2])) for m in (-1.5, 1.0)]
    parts = (
        torch.stack([p.log_prob(test).sum(1) for p in own]) + torch.tensor([[1 / 3], [2 / 3]]).log()
    )
    best, normal = float(parts.logsumexp(0).mean()), MultivariateNormal(test.mean(0), test.T.cov())
    assert best - 0.25 < found <= best + 0.01
    assert found > float(normal.log_prob(test).mean()) + 0.2


def identity(scale: float = 0.05) -> VAE:
    """Return a VAE whose codes are x and a little noise, and whose E[x|z] is z."""
    vae = pyrovae.build(
        2,
        latent_dim=2,
        network={"name": "mlp", "hidden": []},
        posterior={"name": "fixed_scale_normal", "scale": scale},
        likelihood="gaussian",
    )
    with torch.no_grad():
        for layer in (vae.posterior.loc, vae.decoder[0]):
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
    return vae


def test_the_gain_is_the_kl_that_a_normal_law_of_normal_codes_saves() -> None:
    vae = identity()
    generator = torch.Generator().manual_seed(1)
    factor = torch.tensor([[1.5, 0.0], [0.6, 0.4]])
    x = torch.randn(40_000, 2, generator=generator) @ factor.T + torch.tensor([1.0, -0.5])
    scores = {"data_variance": float(x.var(0).mean())}
    sampler = {"name": "mixture", "components": 1, "covariance": "full"}
    found = measure_samplers(vae, x, x, [sampler], scores)
    q = MultivariateNormal(torch.tensor([1.0, -0.5]), factor @ factor.T + 0.05**2 * torch.eye(2))
    exact = kl_divergence(q, MultivariateNormal(torch.zeros(2), torch.eye(2)))
    key = "[sampler=mixture,components=1]"
    assert found[f"code_gain{key}"] == pytest.approx(float(exact), rel=0.02)
    # Samples vary as codes do, and reconstructions are codes.
    variance = float(q.variance.mean())
    assert found[f"sample_variance{key}"] == pytest.approx(variance, rel=0.05)
    assert found[f"variance_loss{key}"] == scores["data_variance"] - found[f"sample_variance{key}"]


def test_nothing_is_gained_where_codes_are_the_priors() -> None:
    """A guide that says nothing: the noise of the fit must not be that of the test again."""
    vae, x = identity(scale=1.0), torch.zeros(300, 2)
    sampler = {"name": "mixture", "components": 10, "covariance": "full"}
    (gain,) = measure_samplers(vae, x, x, [sampler], {}).values()
    assert -1.0 < gain < 0.02


def test_an_evaluation_has_its_samplers_and_others_are_as_before() -> None:
    x = codes(200)
    dataset = Dataset("mine", Split(x[:120]), Split(x[120:]))
    asked: dict[str, Any] = {"metrics": [], "samples": 2}
    assert "samplers" not in EvaluationSettings(**asked).model_dump()
    plain = pyrovae.evaluate(identity(), dataset, **asked).scores
    report = pyrovae.evaluate(identity(), dataset, samplers=["mixture"], **asked)
    extra = set(report.scores) - set(plain)
    names = ("code_gain", "sample_variance", "variance_loss")
    assert extra == {f"{name}[sampler=mixture]" for name in names}
    assert {k: v for k, v in report.scores.items() if k in plain} == plain
    assert report.scores["code_gain[sampler=mixture]"] > 0.5
    assert "Gain of codes over the prior (sampler = mixture)" in report.text()
    with pytest.raises(ConfigError, match="samplers: are fitted to codes of training data"):
        pyrovae.evaluate(identity(), x, samplers=["mixture"], **asked)
    with pytest.raises(ConfigError, match=r"samplers\[0\]: unknown sampler 'mixtur'"):
        pyrovae.evaluate(identity(), dataset, samplers=["mixtur"], **asked)


def test_codes_on_a_sphere_have_none() -> None:
    vae = pyrovae.build(
        4, latent_dim=3, prior="hyperspherical_uniform", posterior="von_mises_fisher"
    )
    with pytest.raises(ConfigError, match="sampler: is a law of codes in real space"):
        fit_sampler(vae, torch.rand(50, 4), {"name": "mixture"})


@pytest.fixture
def stored(tmp_path: Path) -> pyrovae.Run:
    study = {
        "name": "sampled",
        "base": {
            "dataset": {"name": "digits", "n_train": 200, "n_test": 50},
            "network": {"name": "mlp", "hidden": [8]},
            "prior": "standard_normal",
            "posterior": "mean_field_normal",
            "likelihood": "bernoulli",
            "objective": "elbo",
            "latent_dim": 2,
            "training": {"steps": 3, "batch_size": 16},
            "evaluation": {"metrics": [], "samplers": ["mixture"], "samples": 2},
        },
        "seeds": 1,
    }
    found = pyrovae.run_study(study, results=tmp_path, progress=False, executor="inline")
    return found.run(found.runs["run"][0])


def test_a_stored_run_is_sampled_from_its_codes(stored: pyrovae.Run) -> None:
    assert "code_gain[sampler=mixture]" in stored.scores
    asked = {"name": "mixture", "components": 1}
    drawn = stored.sample(400, sampler=asked, seed=2)
    assert torch.equal(drawn, stored.sample(400, sampler=asked, seed=2))
    assert not torch.equal(drawn, stored.sample(400, seed=2))
    with pytest.raises(ConfigError, match="sampler: unknown sampler 'flo'"):
        stored.sample(3, sampler="flo")
