"""Draws from the guide q(z|x), with everything that ArviZ asks about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.arviz import InferenceData, bundle, dataset
from pyrovae.measures.posterior.weights import draws_at_a_time
from pyrovae.models.contract import LatentModel


@only_measures
def guide_draws(
    vae: LatentModel,
    data: Data,
    index: np.ndarray,
    *,
    chains: int = 4,
    draws: int = 250,
    seed: int = 0,
) -> InferenceData:
    """Draw from the guide for some data points, with everything that ArviZ asks about them.

    Parameters
    ----------
    vae
        The trained model and guide.
    data
        Observations ``(n, *event_shape)``, with their context where they have one.
    index
        Their positions in the test set, shape ``(n,)``: the ``datum`` coordinate.
    chains, draws
        The draws are independent; chains let R-hat and ESS show it.
    seed
        Of the draws; the global random state is left as it was.

    Returns
    -------
    InferenceData
        ``posterior`` (``z``: chain, draw, datum, latent), ``log_likelihood`` (``x``: chain, draw,
        datum; nats), ``log_prior`` (``z``), ``sample_stats`` (``log_q``), ``observed_data``
        (``x``), ``constant_data`` (``reconstruction``: the mean of p(x|z) over the draws, or
        a draw of x where there is no mean).
    """
    x, told = observed(data), given(data)
    with torch.no_grad(), seeded(seed, x.device):
        q, prior = vae.encode(x, **told), vae.prior_law(**told)
        z = q.sample((chains, draws))
        logs, mean = [], torch.zeros_like(x)
        for part in z.flatten(0, 1).split(draws_at_a_time(x)):
            if vae.shows == "draw":
                logs.append(vae.decode(part, **told).log_prob(x))
                continue
            law, means = vae.decode_with_mean(part, **told)
            logs.append(law.log_prob(x))
            mean += means.sum(0) / (chains * draws)
        if vae.shows == "draw":
            mean = vae.reconstruct(z[0, 0], **told)
        log_likelihood = torch.cat(logs).unflatten(0, (chains, draws))
        log_q, log_prior = q.log_prob(z), prior.log_prob(z)

    sampled = ("chain", "draw", "datum")
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "datum": np.asarray(index),
        "latent": np.arange(z.shape[-1]),
    }
    about = {"inference_library": "pyrovae", "sampler": "guide q(z|x)"}

    def made(dims: tuple[str, ...], **values: Tensor) -> Any:
        arrays = {name: value.cpu().numpy() for name, value in values.items()}
        return dataset(dims, coords=coords, attributes=about, **arrays)

    return bundle(
        {
            "posterior": made((*sampled, "latent"), z=z),
            "log_likelihood": made(sampled, x=log_likelihood),
            "log_prior": made(sampled, z=log_prior),
            "sample_stats": made(sampled, log_q=log_q),
            "observed_data": made(("datum",), x=x),
            "constant_data": made(("datum",), reconstruction=mean),
        }
    )
