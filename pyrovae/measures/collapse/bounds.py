"""Bounds on log p(x), and their two halves, for any model and guide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.core.given import Data, arguments
from pyrovae.core.measuring import measuring
from pyrovae.core.seeded import seeded
from pyrovae.measures.scores import TEST, Score, declare
from pyrovae.models.own.parameters import modules_used
from pyrovae.models.sites import latent_sites, log_ratio, terms, variable_sites

_CHUNK = 1000

ELBO = declare(
    Score(
        "elbo",
        "ELBO",
        unit="nats",
        better="high",
        group=TEST,
        meaning="Evidence lower bound on the test set, for each datum: minus rate and distortion.",
        main=True,
    )
)
LOG_PX = declare(
    Score(
        "log_px",
        "log p(x)",
        unit="nats",
        better="high",
        group=TEST,
        meaning="Importance-weighted bound on log p(x) of the test set (Burda et al. 2016).",
        main=True,
    )
)
#: A trained model's rate is no merit or fault by itself.
RATE = declare(
    Score(
        "rate",
        "Rate",
        unit="nats",
        group=TEST,
        meaning="KL(q(z|x) || p(z)) on the test set, for each datum.",
        main=True,
    )
)
DISTORTION = declare(
    Score(
        "distortion",
        "Distortion",
        unit="nats",
        better="low",
        group=TEST,
        meaning="Minus the expected log-likelihood of the test set, for each datum.",
        main=True,
    )
)

Program = Callable[..., Any]


@dataclass(frozen=True)
class Bound:
    """The ELBO and its halves for each datum, in nats.

    Attributes
    ----------
    distortion
        E_q[-log p(x|z)], shape ``(n,)``.
    rate
        KL(q(z|x) || p(z)), shape ``(n,)``.
    log_px
        Importance-weighted bound on log p(x) from the same draws (Burda, Grosse & Salakhutdinov
        2016, eq. 8), shape ``(n,)``.
    error
        Variance of the ELBO as an estimate from finitely many draws, shape ``(n,)``; NaN for one.
    rates
        What each latent site adds to the rate, by its name, ``(n,)`` each: KL(q(z_l|x, …) ||
        p(z_l| …)) given what is drawn before it. Where the guide draws in another order than the
        model, it is E[log q(z_l| …) - log p(z_l| …)], which adds up to the rate too and may be
        negative by itself.
    """

    distortion: Tensor
    rate: Tensor
    log_px: Tensor
    error: Tensor
    rates: dict[str, Tensor] = field(default_factory=dict)

    @property
    def elbo(self) -> Tensor:
        """Evidence lower bound for each datum, shape ``(n,)``."""
        return -(self.distortion + self.rate)


def estimate_bound(
    model: Program, guide: Program, x: Data, *, samples: int, seed: int = 0
) -> Bound:
    """Estimate the ELBO and the importance-weighted bound on data.

    Parameters
    ----------
    model, guide
        Pyro programs of the observations, with a latent site in common. Scales and masks of their
        sites count: for a bound on log p(x), take programs without
        (:meth:`pyrovae.models.contract.LatentModel.datum_model`).
    x
        Observations ``(n, *event_shape)``. With a context, the bound is one on log p(x|c).
    samples
        Draws from the guide for each datum; also the K of the importance-weighted bound.
    seed
        Of the draws; the global random state is left as it was.
    """
    distortions, rates, log_weights, errors = [], [], [], []
    by_site: dict[str, list[Tensor]] = {}
    with measuring(*modules_used(model, guide)), torch.no_grad(), seeded(seed, x.device):
        for part in x.split(_CHUNK):
            traces = _draws(guide, part, samples)
            draws = [_halves(model, trace, part) for trace in traces]
            distortion, rate, log_weight = (
                torch.stack(column) for column in zip(*(draw[:3] for draw in draws), strict=True)
            )
            for name in draws[0][3]:
                mean = torch.stack([draw[3][name] for draw in draws]).mean(0)
                by_site.setdefault(name, []).append(mean)
            distortions.append(distortion.mean(0))
            rates.append(rate.mean(0))
            errors.append((distortion + rate).var(0) / samples)
            log_weights.append(log_weight.logsumexp(0) - torch.tensor(float(samples)).log())
    of_sites = {name: torch.cat(values) for name, values in by_site.items()}
    distortion, rate, log_px, error = map(torch.cat, (distortions, rates, log_weights, errors))
    return Bound(distortion, rate, log_px, error, of_sites)


def _draws(guide: Program, x: Data, samples: int) -> Iterator[Trace]:
    """Trace the guide so many times.

    The law of a guide's only variable depends on no other draw, so that the encoder then runs once.
    (A guide with noise that is no site has no density to weigh its codes by.)
    """
    trace = poutine.trace(guide).get_trace(*arguments(x))
    yield trace
    variables = variable_sites(trace)
    for _ in range(samples - 1):
        if len(variables) == 1:
            (site,) = variables
            trace = trace.copy()
            trace.nodes[site["name"]] = {**site, "value": site["fn"]()}
        else:
            trace = poutine.trace(guide).get_trace(*arguments(x))
        yield trace


def _halves(
    model: Program, guide_trace: Trace, x: Data
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    replayed = poutine.replay(model, trace=guide_trace)
    model_trace = poutine.trace(replayed).get_trace(*arguments(x))
    parts = terms(model_trace, guide_trace)
    ratio = sum(log_ratio(q, p) for q, p in latent_sites(model_trace, guide_trace))
    rates = {str(q["name"]): rate for (q, _), rate in zip(parts.local, parts.rates, strict=True)}
    return parts.distortion, parts.rate, -(parts.distortion + ratio), rates
