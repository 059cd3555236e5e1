"""How samplers generate, and how much better than the prior they know the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.given import Data
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.units import drawn_codes
from pyrovae.measures.collapse.variance_loss import (
    DATA_VARIANCE,
    SAMPLE_VARIANCE,
    VARIANCE_LOSS,
    sample_variance,
)
from pyrovae.measures.samplers.base import SAMPLERS, fit_sampler
from pyrovae.measures.scores import COLLAPSE, Score, declare, variant_key
from pyrovae.models.contract import LatentModel

CODE_GAIN = declare(
    Score(
        "code_gain",
        "Gain of codes over the prior",
        unit="nats",
        better="high",
        group=COLLAPSE,
        meaning=(
            "E log r(z) - log p(z) over draws z from q(z|x) of test data, of a sampler's law r: "
            "what the ELBO would gain if r were the prior, at most KL(q(z) || p(z))."
        ),
    )
)


def key_of(score: Score, sampler: Mapping[str, Any]) -> str:
    """Return the key of a score under a sampler: its parameters are told where they are others.

    >>> key_of(CODE_GAIN, {"name": "mixture", "components": 10, "covariance": "full"})
    'code_gain[sampler=mixture]'
    >>> key_of(CODE_GAIN, {"name": "mixture", "components": 3})
    'code_gain[sampler=mixture,components=3]'
    """
    return variant_key(score.key, told(sampler))


def told(sampler: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a key tells of a sampler: its name, and parameters that are not the default."""
    defaults = SAMPLERS.resolve(sampler["name"], {})
    others = {key: value for key, value in sampler.items() if value != defaults.get(key)}
    return {"sampler": others.pop("name"), **others}


@only_measures
def measure_samplers(
    vae: LatentModel,
    x: Data,
    x_train: Data,
    samplers: Sequence[Mapping[str, Any]],
    scores: Mapping[str, float],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Return scores of generation under each sampler's law in the prior's place.

    Parameters
    ----------
    vae
        The trained model and guide.
    x, x_train
        Test data, and those whose codes the samplers are fitted to, ``(n, *event_shape)``.
    samplers
        ``{"name": …, **parameters}`` each.
    scores
        Of the run under its prior: has the variance of data where that is defined.
    seed
        Of every random draw made here.

    Returns
    -------
    dict
        By key: ``code_gain``, and where observations have a mean ``sample_variance`` and
        ``variance_loss``, each with the sampler in brackets.
    """
    found: dict[str, float] = {}
    if not samplers:
        return found
    codes = drawn_codes(vae, x, seed=seed).cpu()
    prior = vae.prior_law()
    for sampler in samplers:
        law = fit_sampler(vae, x_train, sampler, seed=seed)
        with torch.no_grad():
            gain = law.log_prob(codes) - prior.log_prob(codes.to(x.device)).cpu()
            found[key_of(CODE_GAIN, sampler)] = float(gain.mean())
            if DATA_VARIANCE.key in scores:
                with seeded(seed, x.device):
                    drawn = sample_variance(vae, partial(_drawn, law, x.device))
                found[key_of(SAMPLE_VARIANCE, sampler)] = drawn
                found[key_of(VARIANCE_LOSS, sampler)] = scores[DATA_VARIANCE.key] - drawn
    return found


def _drawn(law: Distribution, device: torch.device, n: int) -> Tensor:
    return law.sample((n,)).to(device)
