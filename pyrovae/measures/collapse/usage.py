"""Collapse of codes that are labels: which labels are used, and what the sum over all codes says.

A unit of K labels can die in two ways. All data may get few labels: the *perplexity* of the
aggregate posterior is low, and labels are *dead* that are no datum's most probable one. Or every
datum gets the same law: perplexity may be K, no label need be dead, and I(x; z_u) is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.measures.collapse.interventions import log_likelihood
from pyrovae.measures.collapse.moments import moments
from pyrovae.measures.collapse.units import encoded
from pyrovae.measures.scores import COLLAPSE, INFORMATION, TEST, Score, declare
from pyrovae.models.contract import LatentModel

#: Codes that are summed over at most, and pairs of code and datum that scores take at most: all
#: data that are evaluated or none, so that a sum can be held against the bounds.
MOST_CODES, _MOST_PAIRS = 1 << 14, 1 << 21

#: Data whose sums are held in memory at a time.
_DATA = 256

PERPLEXITY = declare(
    Score(
        "code_perplexity",
        "Perplexity of labels",
        kind="positive",
        group=COLLAPSE,
        meaning="Mean over discrete units of exp H(q(z_u)), between 1 and the number of labels.",
    )
)
DEAD = declare(
    Score(
        "dead_labels",
        "Dead labels",
        unit="count",
        group=COLLAPSE,
        meaning="Labels, of all discrete units, that are no datum's most probable one.",
    )
)
SUMMED = declare(
    Score(
        "summed_log_px",
        "log p(x), summed over codes",
        unit="nats",
        better="high",
        group=TEST,
        meaning="log p(x) of the model, summed over all codes: where codes are labels, and few.",
    )
)
GAP = declare(
    Score(
        "kl_to_posterior",
        "KL of q(z|x) from the true posterior",
        unit="nats",
        better="low",
        group=INFORMATION,
        meaning="E_x KL(q(z|x) || p(z|x)), summed over all codes: log p(x) less the ELBO.",
    )
)


@dataclass(frozen=True)
class Usage:
    """Which labels the encoder uses.

    Attributes
    ----------
    shares
        q(z_u = k), the mean over data of q(z_u = k|x): ``(d, K)``. 0 where a unit has fewer labels,
        and in rows of real units.
    perplexity
        exp H(q(z_u)), ``(d,)``; NaN for real units.
    dead
        Labels that are no datum's most probable one, ``(d,)``; 0 for real units.
    """

    shares: Tensor
    perplexity: Tensor
    dead: Tensor


@only_measures
def measure_usage(vae: LatentModel, x: Data) -> Usage | None:
    """Return which labels of a code are used on data ``(n, *event_shape)``.

    ``None`` for a model without discrete units.
    """
    if vae.classes is None:
        return None
    total, chosen, n = torch.zeros(()), torch.zeros(()), 0
    with torch.no_grad():
        for q in encoded(vae, x):
            each = moments(q).shares
            assert each is not None
            best = each == each.amax(-1, keepdim=True)
            total = total.to(each) + each.sum(0)
            chosen = chosen.to(each) + (best & (each > 0)).sum(0)
            n += len(each)
    shares = total / n
    labels = torch.tensor(vae.classes, device=shares.device)
    known = torch.arange(shares.shape[-1], device=shares.device) < labels.unsqueeze(-1)
    perplexity = torch.special.entr(shares).sum(-1).exp()
    perplexity = torch.where(labels > 0, perplexity, math.nan)
    return Usage(shares, perplexity, (known & (chosen == 0)).sum(-1))


@dataclass(frozen=True)
class TruePosterior:
    """p(z|x) of codes of labels, by summing over all of them.

    Attributes
    ----------
    codes
        All codes, ``(S, d)``.
    log_posterior
        log p(z|x), ``(S, n)``.
    log_px
        log p(x) of the model, ``(n,)``.
    kl
        KL(q(z|x) || p(z|x)), ``(n,)``.
    """

    codes: Tensor
    log_posterior: Tensor
    log_px: Tensor
    kl: Tensor

    @property
    def elbo(self) -> Tensor:
        """E_q log p(x, z) - E_q log q(z|x), exactly, ``(n,)``."""
        return self.log_px - self.kl


def number_of_codes(vae: LatentModel) -> int | None:
    """Return how many codes there are; ``None`` where some unit is real."""
    if vae.classes is None or min(vae.classes) == 0:
        return None
    return math.prod(vae.classes)


@only_measures
def enumerate_posterior(vae: LatentModel, x: Data) -> TruePosterior:
    """Sum p(x, z) over all codes z of a model whose units are all discrete.

    Parameters
    ----------
    vae
        With at most :data:`MOST_CODES` codes.
    x
        Observations ``(n, *event_shape)``; every code is decoded for each of them.

    Raises
    ------
    ConfigError
        If there are more codes, or a unit is real.

    Examples
    --------
    >>> import pyrovae, torch
    >>> vae = pyrovae.build((4,), latent_dim=3, prior="bernoulli", posterior="bernoulli")
    >>> found = enumerate_posterior(vae, torch.ones(5, 4))
    >>> found.codes.shape, found.log_posterior.exp().sum(0).allclose(torch.ones(5))
    (torch.Size([8, 3]), True)
    """
    count = number_of_codes(vae)
    if count is None:
        raise ConfigError("has real units: there is no sum over its codes", "latent_dim")
    if count > MOST_CODES:
        raise ConfigError(
            f"has {count:.3g} codes, and at most {MOST_CODES} are summed over", "latent_dim"
        )
    with torch.no_grad():
        device = observed(x).device
        each = [torch.arange(k, device=device, dtype=torch.float) for k in vae.classes or ()]
        codes = torch.cartesian_prod(*each).reshape(count, -1)
        spread = codes.unsqueeze(1)
        log_q = vae.encode(observed(x), **given(x)).log_prob(spread)
        log_p = vae.prior_law(**given(x)).log_prob(spread)
        log_x = torch.cat(
            [
                log_likelihood(vae, some.expand(-1, len(x), -1), x)
                for some in spread.split(max(1, 2048 // len(x)))
            ]
        )
        joint = log_p + log_x
        log_px = joint.logsumexp(0)
        log_posterior = joint - log_px
        kl = (log_q.exp() * (log_q - log_posterior)).sum(0)
    return TruePosterior(codes, log_posterior, log_px, kl)


def usage_scores(usage: Usage) -> dict[str, float]:
    """Return the scores of :func:`measure_usage`."""
    mean = usage.perplexity[~usage.perplexity.isnan()].mean()
    return {PERPLEXITY.key: float(mean), DEAD.key: float(usage.dead.sum())}


def summed_scores(vae: LatentModel, x: Data) -> dict[str, float]:
    """Return the scores of the sum over all codes, where there is one and it is short."""
    count = number_of_codes(vae)
    if count is None or count > MOST_CODES or count * len(x) > _MOST_PAIRS:
        return {}
    parts = [enumerate_posterior(vae, part) for part in x.split(_DATA)]
    log_px, kl = (torch.cat([getattr(part, name) for part in parts]) for name in ("log_px", "kl"))
    return {SUMMED.key: float(log_px.mean()), GAP.key: float(kl.mean())}
