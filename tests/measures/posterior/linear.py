"""Linear VAEs, in which log p(x), the posterior and every gap are known (Tipping & Bishop 1999)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pyrovae.datasets import Dataset, load_dataset
from pyrovae.datasets.linear_gaussian import exact_posterior
from pyrovae.models.posteriors.base import _UNIT
from pyrovae.models.vae import VAE, build_vae


def data(rank: int = 3, dim: int = 8, n_test: int = 200, noise_scale: float = 0.5) -> Dataset:
    """Return simulated vectors."""
    return load_dataset(
        "linear_gaussian", rank=rank, dim=dim, n_train=10, n_test=n_test, noise_scale=noise_scale
    )


def linear_vae(
    exact: Mapping[str, Tensor],
    *,
    latent_dim: int | None = None,
    posterior: str = "mean_field_normal",
) -> VAE:
    """Return the VAE that made the data, whose mean-field encoder is the best there is.

    Latent dimensions beyond the rank have no link to the data. For a loading with orthogonal
    columns the mean-field encoder is the exact posterior.
    """
    dim, rank = exact["loading"].shape
    d = latent_dim or rank
    vae = build_vae(
        (dim,),
        d,
        network={"name": "mlp", "hidden": []},
        prior={"name": "standard_normal"},
        posterior={"name": posterior},
        likelihood={"name": "gaussian", "sigma": float(exact["noise_scale"]), "learned": False},
    )
    mean, covariance = exact_posterior(exact, torch.eye(dim) + exact["mean"])
    with torch.no_grad():
        linear = vae.decoder[0]
        linear.weight.zero_()
        linear.weight[:, :rank] = exact["loading"]
        linear.bias.copy_(exact["mean"])
        # Features are the observations themselves: no hidden layer.
        vae.posterior.loc.weight.zero_()
        vae.posterior.loc.bias.zero_()
        vae.posterior.loc.weight[:rank] = mean.T
        vae.posterior.loc.bias[:rank] = -(mean.T @ exact["mean"])
        vae.posterior.scale.weight.zero_()
        scale = torch.ones(d)
        scale[:rank] = torch.linalg.inv(covariance).diagonal().rsqrt()
        vae.posterior.scale.bias.copy_(torch.expm1(scale).log() - _UNIT)
    return vae


def rotated(exact: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same law of the data with a rotated loading: the posterior gets correlated."""
    rank = exact["loading"].shape[1]
    generator = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(rank, rank, generator=generator, dtype=torch.float64))
    return {**exact, "loading": exact["loading"] @ q}


def scaled_guide(vae: VAE, factor: float) -> VAE:
    """Multiply the scale of a constant-scale encoder, in place."""
    with torch.no_grad():
        bias = vae.posterior.scale.bias
        scale = torch.nn.functional.softplus(bias + _UNIT) * factor
        bias.copy_(torch.expm1(scale).log() - _UNIT)
    return vae
