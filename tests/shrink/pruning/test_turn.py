"""Codes that may be turned: directions that idle although every unit is active."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import kl_divergence

from pyrovae.core.errors import PyrovaeError
from pyrovae.models.posteriors.base import positive, raw_scale
from pyrovae.models.vae import VAE
from pyrovae.shrink.pruning import active_directions, compare, prune_directions, turnable
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import vae_of

#: Along the columns of a rotation: two directions whose means vary; one whose covariance alone
#: tells it from the prior; two that idle, one of them off the prior by a constant.
SCALES = torch.tensor([0.3, 0.6, 0.5, 1.0, 1.0])
OFFSET = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.7])


def _config(prior: str = "standard_normal", posterior: str = "full_rank_normal") -> RunConfig:
    return RunConfig.model_validate(
        {
            "dataset": {"name": "digits"},
            "network": {"name": "mlp", "hidden": [16, 12]},
            "prior": {"name": prior},
            "posterior": {"name": posterior},
            "likelihood": {"name": "bernoulli"},
            "objective": {"name": "elbo"},
            "latent_dim": 5,
            "training": {"steps": 1, "batch_size": 32, "lr": 1e-3},
            "evaluation": {},
            "seed": 0,
        }
    )


def _turned_model() -> tuple[VAE, RunConfig, torch.Tensor]:
    """Return a model of random weights, its configuration, and the rotation its code was given."""
    torch.manual_seed(1)
    config = _config()
    vae = vae_of(config, (1, 8, 8))
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    factor = torch.linalg.cholesky(rotation * SCALES.square() @ rotation.T)
    with torch.no_grad():
        for p in vae.encoder.parameters():
            p.mul_(3)
        posterior = vae.posterior
        posterior.loc.weight.copy_(rotation[:, :2] @ torch.randn(2, 12))
        posterior.loc.bias.copy_(rotation @ OFFSET)
        posterior.scale.weight.zero_()
        posterior.scale.bias.copy_(raw_scale(factor.diagonal()))
        posterior.correlation.weight.zero_()
        posterior.correlation.bias.copy_(factor.flatten())
        # What idles is not listened to.
        vae.decoder[0].weight.copy_(torch.randn(12, 3) @ rotation[:, :3].T)
    return vae, config, rotation


def test_raw_scale_inverts_positive() -> None:
    scale = torch.tensor([1e-5, 1e-3, 0.1, 1.0, 7.0, 100.0])
    torch.testing.assert_close(positive(raw_scale(scale)), scale, rtol=1e-3, atol=0)


def test_the_directions_that_say_something_are_found_and_kept() -> None:
    vae, config, rotation = _turned_model()
    x = torch.rand(300, 1, 8, 8)
    means = vae.encode(x).mean
    assert (means.var(0) > 0.01).all()  # every unit is active
    directions = active_directions(vae, x)
    told = rotation[:, :3] @ rotation[:, :3].T
    torch.testing.assert_close(directions.T @ directions, told, rtol=0, atol=1e-4)

    pruned, smaller = prune_directions(vae, config, directions, x)
    assert (pruned.latent_dim, smaller.latent_dim) == (3, 3)
    with torch.no_grad():
        was, now = vae.encode(x), pruned.encode(x)
        torch.testing.assert_close(now.mean, was.mean @ directions.T)
        torch.testing.assert_close(
            now.covariance_matrix,
            directions @ was.covariance_matrix @ directions.T,
            rtol=1e-3,
            atol=1e-4,
        )
        z = was.sample()
        torch.testing.assert_close(
            pruned.reconstruct(z @ directions.T), vae.reconstruct(z), rtol=1e-3, atol=1e-4
        )
    found = compare(vae, pruned, directions, x, samples=4)
    # KL(N(0.7, 1) || N(0, 1)) = 0.7² / 2.
    assert found.rate_change == pytest.approx(-0.245, abs=1e-3)
    assert found.change == pytest.approx(0.245, abs=2e-3)


def test_a_covariance_that_varies_is_fitted() -> None:
    vae, config, _ = _turned_model()
    with torch.no_grad():
        vae.posterior.scale.weight.normal_(std=0.1)
        vae.posterior.correlation.weight.normal_(std=0.02)
    x = torch.rand(600, 1, 8, 8)
    directions = active_directions(vae, x[:400])
    assert 3 <= len(directions) <= 5
    pruned, _ = prune_directions(vae, config, directions, x[:400])
    with torch.no_grad():
        q = vae.encode(x[400:])
        exact = torch.distributions.MultivariateNormal(
            q.mean @ directions.T, directions @ q.covariance_matrix @ directions.T
        )
        lost = kl_divergence(exact, pruned.encode(x[400:])).mean()
        unfitted = kl_divergence(exact, pruned.encode(x[400:].flip(0))).mean()
    assert lost < 0.02
    assert lost < 0.1 * unfitted


def test_only_codes_without_special_axes_are_turned() -> None:
    for prior, posterior, expected in (
        ("standard_normal", "full_rank_normal", True),
        ("laplace", "full_rank_normal", False),
        ("standard_normal", "mean_field_normal", False),
    ):
        assert turnable(vae_of(_config(prior, posterior), (1, 8, 8))) == expected
    vae, config, _ = _turned_model()
    with pytest.raises(PyrovaeError, match="no direction stays"):
        prune_directions(vae, config, torch.empty(0, 5), torch.rand(4, 1, 8, 8))
