"""Models whose encoder and decoder are written by hand, so that every measure has an answer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pyrovae.models.vae import VAE, build_vae


def linear_vae(
    weight: Tensor,
    scale: Tensor | float = 1.0,
    *,
    posterior: str = "mean_field_normal",
    prior: str | dict[str, Any] = "standard_normal",
) -> VAE:
    """Return a VAE with q(z|x) of location ``weight @ x`` and one scale for each unit.

    The decoder is ``weight.T @ z``, the likelihood N(., 1).
    """
    d, n = weight.shape
    vae = build_vae(
        (n,),
        d,
        network={"name": "mlp", "hidden": []},
        prior={"name": prior} if isinstance(prior, str) else prior,
        posterior={"name": posterior},
        likelihood={"name": "gaussian", "sigma": 1.0},
    )
    with torch.no_grad():
        for parameter in (*vae.posterior.parameters(), *vae.decoder.parameters()):
            parameter.zero_()
        vae.posterior.loc.weight.copy_(weight)
        # The inverse of pyrovae.models.posteriors.base.positive, up to its floor of 1e-6.
        raw = torch.as_tensor(scale, dtype=torch.float32).expm1().log() - math.log(math.e - 1)
        vae.posterior.scale.bias.copy_(raw.expand(d))
        vae.decoder[0].weight.copy_(weight.T)
    return vae
