"""Every combination of the families present, for tests that hold for all of them."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from pyrovae.datasets.base import as_float
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram

PRIORS = ("standard_normal", "laplace", "student_t", "gaussian_mixture")
POSTERIORS = ("mean_field_normal", "laplace", "full_rank_normal")
LIKELIHOODS = ("bernoulli", "gaussian")
COMBINATIONS = list(itertools.product(PRIORS, POSTERIORS, LIKELIHOODS))

EVENT_SHAPE = (1, 8, 8)


def small_vae(
    prior: str = "standard_normal",
    posterior: str | dict[str, Any] = "mean_field_normal",
    likelihood: str = "bernoulli",
    *,
    latent_dim: int = 3,
    seed: int = 0,
) -> VAE:
    """Return an untrained VAE for 8×8 images."""
    return build_vae(
        EVENT_SHAPE,
        latent_dim,
        network={"name": "mlp", "hidden": [16]},
        prior=small(prior),
        posterior=small(posterior) if isinstance(posterior, str) else posterior,
        likelihood=small(likelihood),
        seed=seed,
        data=as_float(small_images()),
    )


#: Parameters that fit the small data set, and keep small what would be large.
_FITTING: dict[str, dict[str, Any]] = {
    "vampprior": {"pseudo_inputs": 6},
    "sylvester": {"transforms": 1, "reflections": 2},
    "radial": {"transforms": 1},
    "attention": {"levels": 2, "ends": False, "width": 4, "heads": 1, "layers": 1},
    "recurrent": {"levels": 2, "ends": False, "hidden": 4},
    "pixelcnn": {"radius": 1, "layers": 1, "channels": 4},
}
#: Steps in a row make a program of the small images too large: tests of sequences train it.
STEP_BY_STEP = frozenset({"recurrent"})


def small(name: str) -> dict[str, Any]:
    """Return an entry with parameters that fit the small data set."""
    return {"name": name, **_FITTING.get(name, {})}


def small_program(*names: str, seed: int = 0) -> LossProgram:
    """Return the ELBO program of :func:`small_vae`."""
    return LossProgram(small_vae(*names, seed=seed), Elbo())


def small_images(n: int = 40) -> Tensor:
    """Return random binary images as uint8, ``(n, 1, 8, 8)``."""
    generator = torch.Generator().manual_seed(0)
    bits = torch.rand(n, *EVENT_SHAPE, generator=generator) > 0.7
    return bits.to(torch.uint8) * 255
