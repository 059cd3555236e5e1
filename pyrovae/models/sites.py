"""What a pair of traces says of the data: the terms that every objective and bound is made of.

Nothing here calls ``.item()``: all of it can be traced into a graph (see ``training.step``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions.util import is_identically_one, scale_and_mask
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import arguments
from pyrovae.distributions import analytic_kl

Site = dict[str, Any]

#: The plate of several codes for each datum; a user's own plate is not called that.
SAMPLES = "pyrovae.samples"


@dataclass(frozen=True)
class Terms:
    """What a pair of traces says about the data, in nats for each datum.

    Every term counts as in Pyro's own bounds: times the ``scale`` of its site, and not at all where
    the site's ``mask`` is false. With K samples of the code for each datum, shapes ``(n,)`` become
    ``(K, n)``.

    Attributes
    ----------
    distortion
        -log p(x|z), shape ``(n,)``, one sample of z each.
    rate
        KL(q(z|x) || p(z)), shape ``(n,)``: closed form where there is one, else
        log q(z|x) - log p(z) at the sample.
    shared
        KL of the latent sites that all data share, divided by the size of the data set; 0-d. Zero
        unless the prior is hierarchical.
    data_size
        Size N of the training set.
    local
        The (guide site, model site) pairs of the latent variables inside the plate.
    observed
        The model's sites of the data.
    rates
        What each of :attr:`local` adds to the rate, ``(n,)`` each.
    closed
        Of each of :attr:`local`, whether a closed form of its KL may stand for its draws.
    """

    distortion: Tensor
    rate: Tensor
    shared: Tensor
    data_size: int
    local: tuple[tuple[Site, Site], ...]
    observed: tuple[Site, ...]
    rates: tuple[Tensor, ...] = ()
    closed: tuple[bool, ...] = (True,)

    @property
    def log_ratio(self) -> Tensor:
        """log q(z|x) - log p(z) at the sample, shape ``(n,)``."""
        return _total([log_ratio(q, p) for q, p in self.local])

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x) at the sample, shape ``(n,)``."""
        return -(self.distortion + self.log_ratio)

    @property
    def code(self) -> tuple[Site, Site]:
        """The only (guide site, model site) pair of a datum.

        Raises
        ------
        ConfigError
            If a datum has several: one law of the code is not there.
        """
        if len(self.local) > 1:
            names = ", ".join(str(q["name"]) for q, _ in self.local)
            raise ConfigError(f"reads the law of one flat code, and this model has layers: {names}")
        return self.local[0]

    @property
    def q(self) -> Distribution:
        """q(z|x) of the code: batch ``(n,)``, event ``(latent_dim,)``."""
        return self.code[0]["fn"]

    @property
    def p(self) -> Distribution:
        """p(z) of the code, expanded to the batch of :attr:`q`."""
        return self.code[1]["fn"]

    @property
    def z(self) -> Tensor:
        """The codes, shape ``(n, latent_dim)``."""
        return self.code[0]["value"]


def trace_pair(
    model: Callable[..., Any], guide: Callable[..., Any], *args: Any, samples: int = 1
) -> tuple[Trace, Trace]:
    """Run the guide, then the model on the guide's codes; return (model trace, guide trace).

    With more than one sample, both run inside a plate to the left of the data's: site values get a
    leading dimension, while the encoder runs once. Of :class:`~pyrovae.core.given.Given` data, both
    programs are handed the context behind the observations.
    """
    args = tuple(part for data in args for part in arguments(data))
    with pyro.plate(SAMPLES, samples, dim=-2) if samples > 1 else nullcontext():
        guide_trace = poutine.trace(guide).get_trace(*args)
        replayed = poutine.replay(model, trace=guide_trace)
        model_trace = poutine.trace(replayed).get_trace(*args)
    return model_trace, guide_trace


def terms(model_trace: Trace, guide_trace: Trace, *, data_size: int = 1) -> Terms:
    """Read distortion and rate off a pair of traces, of any model and guide.

    A closed form of KL(q(z_l | …) || p(z_l | …)) stands for a local site where all that the model
    draws before it is drawn before it by the guide too: then it is the mean over z_l, everything
    else the same. Where the guide draws in another order (bottom-up, against a model from the top
    down), p(z_l | …) depends on what was drawn from z_l, and the sample has to do.

    A latent site is shared by all data if it stands outside the plate that the observed sites are
    in. Where those are in none, it is shared if its log-density is a single number.

    Parameters
    ----------
    model_trace, guide_trace
        From :func:`trace_pair`.
    data_size
        Size N of the data set, by which the KL of shared sites is divided.

    Raises
    ------
    ValueError
        If the model observes nothing or the guide samples nothing for each datum, or if one of them
        has a site that only the other should have.
    """
    observed = observed_sites(model_trace)
    latent = latent_sites(model_trace, guide_trace)
    plates = {frame.name for site in observed for frame in _plates(site)} - {SAMPLES}
    local: list[tuple[Site, Site]] = []
    shared: list[tuple[Site, Site]] = []
    for q, p in latent:
        inside = (
            not plates.isdisjoint(frame.name for frame in _plates(p))
            if plates
            else len(p["fn"].batch_shape) > 0
        )
        (local if inside else shared).append((q, p))
    if not observed or not local:
        raise ValueError("an objective needs a model with data and a guide with a latent site")
    if stray := stray_sites(model_trace, guide_trace):
        raise ValueError(f"a bound needs every latent site in model and guide; {stray}")
    # Pyro's sites may carry broadcastable shapes; a plain sum keeps them.
    log_px = _total([log_density(site) for site in observed])
    closed = _drawn_before(local, model_trace)
    rates = [
        _rate(q, p) if known else log_ratio(q, p)
        for (q, p), known in zip(local, closed, strict=True)
    ]
    rate = _total(rates)
    common = [_rate(q, p).sum() for q, p in shared]
    return Terms(
        distortion=-log_px,
        rate=rate,
        shared=_total(common) / data_size if common else torch.zeros_like(rate.sum()),
        data_size=data_size,
        local=tuple(local),
        observed=tuple(observed),
        rates=tuple(rates),
        closed=closed,
    )


def scored(terms: Terms, baseline: Tensor | None = None) -> Terms:
    r"""Return terms whose gradients count draws without derivatives, too; their values stay.

    Where a guide's site has no reparameterised draws, each term t that depends on its draw z gets

    .. math:: (t - b)\, (\log q(z) - \log q(z)), \quad \text{of which all but the last is held}

    which is 0, and whose gradient is the score function's. The baseline b of a draw is the mean
    of t over the other draws of its datum; without others it is 0. So the gradient of whatever is
    made of *means* of the terms is unbiased.

    Parameters
    ----------
    terms
        With K draws, ``(K, n)`` each.
    baseline
        b of the distortion, 0-d, where it is known before the draws. Rates then have to be closed
        forms, which depend on no draw.

    References
    ----------
    Kool, van Hoof & Welling 2019, openreview r1lgTGL5DE (leave-one-out); Foerster et al. 2018,
    arXiv:1802.05098 (a surrogate whose value is the term's)
    """
    if all(q["fn"].has_rsample for q, _ in terms.local):
        return terms
    log_q = fixed_log_prob(terms)
    if baseline is not None:
        value = terms.distortion.detach() - baseline
        return replace(terms, distortion=terms.distortion + value * (log_q - log_q.detach()))

    def with_score(term: Tensor) -> Tensor:
        # Terms in closed form may lack the draws' dimension.
        value = term.detach().expand_as(log_q)
        if value.dim() > 1:
            others = (value.sum(0, keepdim=True) - value) / (len(value) - 1)
            value = value - others
        return term + value * (log_q - log_q.detach())

    rates = tuple(with_score(rate) for rate in terms.rates)
    return replace(terms, distortion=with_score(terms.distortion), rate=_total(rates), rates=rates)


def fixed_log_prob(terms: Terms) -> Tensor:
    """Return log q of the draws that have no derivatives, of the distortion's shape.

    Raises
    ------
    ConfigError
        If all draws have derivatives.
    """
    fixed = [q for q, _ in terms.local if not q["fn"].has_rsample]
    if not fixed:
        raise ConfigError("needs draws of labels (gradient: score), and all draws are relaxed")
    log_q = _total([q["fn"].log_prob(q["value"]) for q in fixed])
    return log_q.reshape(terms.distortion.shape)


def _drawn_before(local: Sequence[tuple[Site, Site]], model_trace: Trace) -> tuple[bool, ...]:
    """Return for each local pair whether the guide has drawn before it all that the model has."""
    names = [q["name"] for q, _ in local]  # in the guide's order
    order = [name for name in model_trace.nodes if name in names]
    return tuple(set(order[: order.index(name)]) <= set(names[:i]) for i, name in enumerate(names))


def _total(parts: Sequence[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0])


def variable_sites(guide_trace: Trace) -> list[Site]:
    """Return the sites of all that a guide, or a model, draws."""
    return [s for s in guide_trace.nodes.values() if _is_variable(s) and not s["is_observed"]]


def latent_sites(model_trace: Trace, guide_trace: Trace) -> list[tuple[Site, Site]]:
    """Return the (guide site, model site) pairs of the latent variables."""
    return [
        (site, model_trace.nodes[site["name"]])
        for site in variable_sites(guide_trace)
        if site["name"] in model_trace.nodes
    ]


def stray_sites(model_trace: Trace, guide_trace: Trace) -> str:
    """Say which sites of one program have no part in the bound of both; empty if there are none."""
    drawn = {s["name"] for s in variable_sites(guide_trace)}
    unguided = [s["name"] for s in variable_sites(model_trace) if s["name"] not in drawn]
    unmodelled = sorted(drawn - {s["name"] for s in variable_sites(model_trace)})
    observing = [s["name"] for s in observed_sites(guide_trace)]
    strays = {
        "drawn by the model alone": unguided,
        "drawn by the guide alone": unmodelled,
        "observed by the guide": observing,
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in strays.items() if names)


def weighted(value: Tensor, site: Site) -> Tensor:
    """Return a site's term as it counts: times the site's scale, zero where it is masked."""
    return scale_and_mask(value, site.get("scale", 1.0), site.get("mask"))


def is_weighted(site: Site) -> bool:
    """Return whether :func:`weighted` changes anything."""
    return site.get("mask") is not None or not is_identically_one(site.get("scale", 1.0))


def log_density(site: Site) -> Tensor:
    """Return the :func:`weighted` log-density of a site at its value, in nats; shape ``(n,)``."""
    return weighted(site["fn"].log_prob(site["value"]), site)


def log_ratio(q: Site, p: Site) -> Tensor:
    """Return log q(z|x) - log p(z) at the guide's sample, in nats; shape ``(n,)``."""
    return log_density(q) - log_density({**p, "value": q["value"]})


def _plates(site: Site) -> Sequence[Any]:
    return site["cond_indep_stack"]


def observed_sites(model_trace: Trace) -> list[Site]:
    """Return the sites of the data."""
    return [s for s in model_trace.nodes.values() if _is_variable(s) and s["is_observed"]]


def _is_variable(site: Site) -> bool:
    # A plate's subsample indices and deterministic values are recorded as sample sites too.
    return (
        site["type"] == "sample"
        and type(site["fn"]).__name__ != "_Subsample"
        and not site["infer"].get("_deterministic", False)
    )


def _rate(q: Site, p: Site) -> Tensor:
    closed = analytic_kl(q["fn"], p["fn"])
    # As in Pyro's mean-field bound, a closed form counts as the guide's site does.
    return log_ratio(q, p) if closed is None else weighted(closed, q)


#: Objectives by name: classes ``(*, …)``.
