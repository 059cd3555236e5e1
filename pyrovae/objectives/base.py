"""An objective: what is maximised, as a function of a model trace and a guide trace.

Nothing here calls ``.item()``: an objective can be traced into a graph (see ``training.step``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import pyro
import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.registry import Registry
from pyrovae.distributions import analytic_kl
from pyrovae.models.contract import LatentModel

Site = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """What a pair of traces says about the data, in nats for each datum.

    With K samples of the code for each datum, shapes ``(n,)`` become ``(K, n)``.

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
    """

    distortion: Tensor
    rate: Tensor
    shared: Tensor
    data_size: int
    local: tuple[tuple[Site, Site], ...]
    observed: tuple[Site, ...]

    @property
    def log_ratio(self) -> Tensor:
        """log q(z|x) - log p(z) at the sample, shape ``(n,)``."""
        ratios = [log_ratio(q, p) for q, p in self.local]
        return sum(ratios[1:], ratios[0])

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x) at the sample, shape ``(n,)``."""
        return -(self.distortion + self.log_ratio)

    @property
    def q(self) -> Distribution:
        """q(z|x) of the code: batch ``(n,)``, event ``(latent_dim,)``."""
        return self.local[0][0]["fn"]

    @property
    def p(self) -> Distribution:
        """p(z) of the code, expanded to the batch of :attr:`q`."""
        return self.local[0][1]["fn"]

    @property
    def z(self) -> Tensor:
        """The codes, shape ``(n, latent_dim)``."""
        return self.local[0][0]["value"]


class Objective(nn.Module):
    """Base of the objectives; most implement :meth:`loss` alone.

    An objective is a module because some have parameters of their own (a discriminator), trained in
    the same step. The class attributes and :meth:`requirements` are facts that the compatibility
    matrix is computed from.
    """

    #: Codes drawn for each datum.
    samples = 1
    #: What the parts of a run must be, in words of :data:`pyrovae.study.plan.compatibility.NEEDS`.
    needs: ClassVar[frozenset[str]] = frozenset({"posterior.reparameterizable"})
    #: How a user gets around :attr:`needs`, if there is a way.
    hint: ClassVar[str] = ""

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return what the run must be for these user parameters; by default :attr:`needs`."""
        return cls.needs

    def prepare(self, vae: LatentModel) -> None:
        """Take what the objective needs of the model before training; most need nothing."""

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the scalars that may change with the step; they enter the graph as inputs."""
        return {}

    def groups(self, step: int) -> dict[str, Update]:
        """Return how parameters are updated at a step, where not by the run's optimiser alone.

        Keys are ``guide`` (the parameters of q(z|x)), ``model`` (all others of the model) and
        ``objective`` (the objective's own). The keys must not change with the step.
        """
        return {}

    def forward(
        self, vae: LatentModel, x: Tensor, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Run the programs on a minibatch; return the loss and the terms that it was made of.

        Parameters
        ----------
        vae
            Model and guide.
        x
            Observations ``(n, *event_shape)``.
        hyper
            :meth:`hyperparameters` as 0-d tensors.
        data_size
            Size N of the training set.
        """
        traces = trace_pair(vae.model, vae.guide, x, samples=self.samples)
        found = terms(*traces, data_size=data_size)
        return self.loss(found, hyper), found

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar to be minimised, in nats per datum."""
        raise NotImplementedError


@dataclass(frozen=True)
class Update:
    """How a group of parameters is updated at one step.

    Attributes
    ----------
    count
        Number of this update among the group's own, from 1: what Adam corrects its moments with.
    on
        Whether there is an update at this step.
    lr
        Learning rate, or ``None`` for the run's.
    betas
        Of Adam; the same at every step.
    """

    count: int
    on: bool = True
    lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)


def trace_pair(
    model: Callable[..., Any], guide: Callable[..., Any], *args: Any, samples: int = 1
) -> tuple[Trace, Trace]:
    """Run the guide, then the model on the guide's codes; return (model trace, guide trace).

    With more than one sample, both run inside a plate to the left of the data's: site values get a
    leading dimension, while the encoder runs once.
    """
    with pyro.plate("samples", samples, dim=-2) if samples > 1 else nullcontext():
        guide_trace = poutine.trace(guide).get_trace(*args)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args)
    return model_trace, guide_trace


def terms(model_trace: Trace, guide_trace: Trace, *, data_size: int = 1) -> Terms:
    """Read distortion and rate off a pair of traces, of any model and guide.

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
        If the model observes nothing or the guide samples nothing for each datum.
    """
    observed = observed_sites(model_trace)
    latent = latent_sites(model_trace, guide_trace)
    plates = {frame.name for site in observed for frame in _plates(site)} - {"samples"}
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
    # Pyro's sites may carry broadcastable shapes; a plain sum keeps them.
    log_px = _total([site["fn"].log_prob(site["value"]) for site in observed])
    rate = _total([_rate(q, p) for q, p in local])
    common = [_rate(q, p).sum() for q, p in shared]
    return Terms(
        distortion=-log_px,
        rate=rate,
        shared=_total(common) / data_size if common else torch.zeros_like(rate.sum()),
        data_size=data_size,
        local=tuple(local),
        observed=tuple(observed),
    )


def _total(parts: Sequence[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0])


def variable_sites(guide_trace: Trace) -> list[Site]:
    """Return the sites of all that the guide draws."""
    return [s for s in guide_trace.nodes.values() if _is_variable(s) and not s["is_observed"]]


def latent_sites(model_trace: Trace, guide_trace: Trace) -> list[tuple[Site, Site]]:
    """Return the (guide site, model site) pairs of the latent variables."""
    return [
        (site, model_trace.nodes[site["name"]])
        for site in variable_sites(guide_trace)
        if site["name"] in model_trace.nodes
    ]


def log_ratio(q: Site, p: Site) -> Tensor:
    """Return log q(z|x) - log p(z) at the guide's sample, in nats; shape ``(n,)``."""
    z = q["value"]
    return q["fn"].log_prob(z) - p["fn"].log_prob(z)


def _plates(site: Site) -> Sequence[Any]:
    return site["cond_indep_stack"]


def observed_sites(model_trace: Trace) -> list[Site]:
    """Return the sites of the data."""
    return [s for s in model_trace.nodes.values() if _is_variable(s) and s["is_observed"]]


def _is_variable(site: Site) -> bool:
    # A plate's subsample indices are recorded as a sample site too.
    return site["type"] == "sample" and type(site["fn"]).__name__ != "_Subsample"


def _rate(q: Site, p: Site) -> Tensor:
    closed = analytic_kl(q["fn"], p["fn"])
    return log_ratio(q, p) if closed is None else closed


#: Objectives by name: classes ``(*, …)``.
OBJECTIVES: Registry = Registry("objective", Objective)
