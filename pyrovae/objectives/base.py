"""An objective: what is maximised, as a function of a model trace and a guide trace.

Nothing here calls ``.item()``: an objective can be traced into a graph (see ``training.step``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.distributions import analytic_kl
from pyrovae.registry import Registry


@dataclass(frozen=True)
class Terms:
    """The two halves of the negative ELBO, in nats for each datum.

    Attributes
    ----------
    distortion
        -log p(x|z), shape ``(n,)``, one sample of z each.
    rate
        KL(q(z|x) || p(z)), shape ``(n,)``: closed form where there is one, else
        log q(z|x) - log p(z) at the sample.
    """

    distortion: Tensor
    rate: Tensor


Site = dict[str, Any]


class Objective(Protocol):
    """What a registry entry offers."""

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the scalars that may change with the step; they enter the graph as inputs."""

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar to be minimised, in nats per datum."""


def trace_pair(
    model: Callable[..., Any], guide: Callable[..., Any], *args: Any
) -> tuple[Trace, Trace]:
    """Run the guide, then the model on the guide's codes; return (model trace, guide trace)."""
    guide_trace = poutine.trace(guide).get_trace(*args)
    model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args)
    return model_trace, guide_trace


def terms(model_trace: Trace, guide_trace: Trace) -> Terms:
    """Read distortion and rate off a pair of traces, of any model and guide.

    Raises
    ------
    ValueError
        If the model observes nothing or the guide samples nothing.
    """
    observed = [site for site in model_trace.nodes.values() if _is_data(site)]
    latent = latent_sites(model_trace, guide_trace)
    if not observed or not latent:
        raise ValueError("an objective needs a model with data and a guide with a latent site")
    log_px = [site["fn"].log_prob(site["value"]) for site in observed]
    rates = [_rate(q, p) for q, p in latent]
    # Pyro's sites may carry broadcastable shapes; a plain sum keeps them.
    return Terms(distortion=-sum(log_px[1:], log_px[0]), rate=sum(rates[1:], rates[0]))


def latent_sites(model_trace: Trace, guide_trace: Trace) -> list[tuple[Site, Site]]:
    """Return the (guide site, model site) pairs of the latent variables."""
    return [
        (site, model_trace.nodes[name])
        for name, site in guide_trace.nodes.items()
        if site["type"] == "sample" and not site["is_observed"] and name in model_trace.nodes
    ]


def log_ratio(q: Site, p: Site) -> Tensor:
    """Return log q(z|x) - log p(z) at the guide's sample, in nats; shape ``(n,)``."""
    z = q["value"]
    return q["fn"].log_prob(z) - p["fn"].log_prob(z)


def _is_data(site: Site) -> bool:
    # A plate's subsample indices are recorded as an observed sample site too.
    is_sample = site["type"] == "sample" and site["is_observed"]
    return is_sample and type(site["fn"]).__name__ != "_Subsample"


def _rate(q: Site, p: Site) -> Tensor:
    closed = analytic_kl(q["fn"], p["fn"])
    return log_ratio(q, p) if closed is None else closed


#: Objectives by name: classes ``(*, …)``.
OBJECTIVES: Registry = Registry("objective")
