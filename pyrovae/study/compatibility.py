"""Which parts fit together, from what they declare; checked before anything is trained."""

from __future__ import annotations

from typing import Any

import torch

from pyrovae.datasets import Dataset
from pyrovae.likelihoods import LIKELIHOODS
from pyrovae.posteriors import POSTERIORS
from pyrovae.priors import PRIORS


def latent_conflict(prior: str, posterior: str) -> str | None:
    """Return why a prior and a posterior family cannot be paired, or ``None`` if they can."""
    p, q = PRIORS[prior].space, POSTERIORS[posterior].space
    if p == q:
        return None
    return (
        f"posterior '{posterior}' lives on the {_SPACES[q]} but prior '{prior}' on the "
        f"{_SPACES[p]}: KL(q || p) is infinite"
    )


_SPACES = {"real": "whole real space", "sphere": "unit sphere"}


def data_conflict(likelihood: str, dataset: Dataset) -> str | None:
    """Return why a likelihood cannot explain a data set, or ``None`` if it can."""
    unit = dataset.train.values.dtype == torch.uint8
    if LIKELIHOODS[likelihood].support == "unit" and not unit:
        return (
            f"likelihood '{likelihood}' is for values in [0, 1] but data set '{dataset.name}' "
            "holds real numbers"
        )
    return None


def conflicts(run: dict[str, Any], dataset: Dataset) -> tuple[str, str] | None:
    """Return the component to blame and the reason, for the first conflict of a run."""
    reason = latent_conflict(run["prior"]["name"], run["posterior"]["name"])
    if reason:
        return "posterior", reason
    reason = data_conflict(run["likelihood"]["name"], dataset)
    return ("likelihood", reason) if reason else None
