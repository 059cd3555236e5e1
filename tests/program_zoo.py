"""Pairs of Pyro programs put together at random from what Pyro's own bounds honour."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from hypothesis import strategies as st
from pyro import poutine
from torch import Tensor, nn

FEATURES, LATENT = 4, 2

Context = Callable[[Tensor], AbstractContextManager[Any]]


def first_half(x: Tensor) -> Tensor:
    """Return a mask of the first half of the data."""
    return torch.arange(len(x)) < len(x) // 2


#: What may stand around a site. In the tables below, the text is what a refusal has to name.
WEIGHTS: dict[str, Context] = {
    "nothing": lambda x: nullcontext(),
    "scale": lambda x: poutine.scale(scale=3.0),
    "scale of each": lambda x: poutine.scale(scale=torch.arange(1.0, len(x) + 1)),
    "nested": lambda x: _all(poutine.scale(scale=0.5), poutine.scale(scale=torch.tensor(0.1))),
    "mask": lambda x: poutine.mask(mask=first_half(x)),
    "mask by data": lambda x: poutine.mask(mask=x.sum(-1) > 2),
    "scaled mask": lambda x: _all(poutine.mask(mask=first_half(x)), poutine.scale(scale=2.0)),
    "masked away": lambda x: poutine.mask(mask=False),
}

#: Laws of x, given the decoder's output and x.
LIKELIHOODS: dict[str, tuple[Callable[[Tensor, Tensor], Any], str | None]] = {
    "normal": (lambda m, x: dist.Normal(m, 0.7).to_event(1), None),
    "gamma": (lambda m, x: dist.Gamma(m.exp(), 1.0).to_event(1), None),
    "dense": (lambda m, x: dist.MultivariateNormal(m, torch.eye(FEATURES)), None),
    "half of the data": (lambda m, x: dist.Normal(m, 1.0).to_event(1).mask(first_half(x)), None),
    "half of x": (
        lambda m, x: dist.Normal(m, 1.0).mask(torch.arange(FEATURES) < 2).to_event(1),
        None,
    ),
    "what is seen": (
        lambda m, x: dist.Normal(m, 1.0).mask(x > 0.5).to_event(1),
        "observed site 'x'",
    ),
    "autoregressive": (
        lambda m, x: dist.Normal(m + x.roll(1, -1), 1.0).to_event(1),
        "p(x|z) from x",
    ),
    "of unit shape": (
        lambda m, x: dist.Normal(m[:, 0], 1.0),
        "observed site 'x' needs event shape",
    ),
}

#: Priors; a normal law has a closed KL to a normal one, none to Student's.
PRIORS: dict[str, tuple[Callable[[Tensor], Any], str | None]] = {
    "normal": (lambda x: dist.Normal(torch.zeros(LATENT), 1.0).to_event(1), None),
    "of each": (lambda x: dist.Normal(torch.zeros(len(x), LATENT), 1.0).to_event(1), None),
    "student": (lambda x: dist.StudentT(3.0, torch.zeros(LATENT), 1.0).to_event(1), None),
    "conditional": (lambda x: dist.Normal(x[:, :LATENT], 1.0).to_event(1), "p(z)"),
    "by place": (
        lambda x: dist.Normal(torch.arange(1.0 * len(x))[:, None].expand(-1, LATENT), 1.0).to_event(
            1
        ),
        "p(z)",
    ),
    "one unit": (
        lambda x: dist.Normal(torch.zeros(LATENT), 1.0).mask(torch.arange(LATENT) < 1).to_event(1),
        "masks units",
    ),
}

POSTERIORS: dict[str, tuple[Callable[[Tensor, Tensor], Any], str | None]] = {
    "normal": (lambda m, s: dist.Normal(m, s).to_event(1), None),
    "dense": (lambda m, s: dist.MultivariateNormal(m, scale_tril=torch.diag_embed(s)), None),
    "delta": (lambda m, s: dist.Delta(m).to_event(1), "Delta"),
    "delta vector": (lambda m, s: dist.Delta(m, event_dim=1), "Delta"),
    "categories": (lambda m, s: dist.OneHotCategorical(logits=m), "OneHotCategorical"),
}

#: Further statements of the model, or of the guide, inside the plate.
FURTHER: dict[str, tuple[Callable[[Tensor], Any], str | None]] = {
    "nothing": (lambda x: None, None),
    "deterministic": (lambda x: pyro.deterministic("twice", 2 * x), None),
    "factor": (lambda x: pyro.factor("fee", x[:, 0], has_rsample=True), "factor 'fee'"),
    "noise": (lambda x: pyro.sample("noise", dist.Normal(0.0, 1.0)), "noise"),
    "auxiliary": (
        lambda x: pyro.sample("aux", dist.Normal(0.0, 1.0), infer={"is_auxiliary": True}),
        "aux",
    ),
    "second": (lambda x: pyro.sample("y", dist.Normal(0.0, 1.0), obs=x[:, 0]), "y"),
    "obs_mask": (
        lambda x: pyro.sample("w", dist.Normal(0.0, 1.0), obs=x[:, 0], obs_mask=first_half(x)),
        "w_",
    ),
    "enumerated": (
        lambda x: pyro.sample(
            "kind", dist.Bernoulli(torch.tensor(0.5)), infer={"enumerate": "parallel"}
        ),
        "enumerates its site 'kind'",
    ),
}

PLATES: dict[str, tuple[Context, str | None]] = {
    "data": (lambda x: pyro.plate("data", len(x)), None),
    "named as ours": (lambda x: pyro.plate("samples", len(x), dim=-1), None),
    "subsample": (lambda x: pyro.plate("all", 100, subsample=x), "plate 'all'"),
    "subsample size": (lambda x: pyro.plate("all", 100, subsample_size=len(x)), "plate 'all'"),
    "nested": (
        lambda x: _all(pyro.plate("data", len(x), dim=-1), pyro.plate("again", 3, dim=-2)),
        "'again'",
    ),
    "left": (lambda x: pyro.plate("data", len(x), dim=-2), "batch shape"),
}


def _all(*contexts: AbstractContextManager[Any]) -> ExitStack:
    stack = ExitStack()
    for context in contexts:
        stack.enter_context(context)
    return stack


@dataclass(frozen=True)
class Drawn:
    """A pair of programs, and what there is in it that a refusal may name."""

    parts: dict[str, str]
    faults: list[str]
    model: Callable[[Tensor], Any] = field(repr=False)
    guide: Callable[[Tensor], Any] = field(repr=False)
    parameters: list[nn.Parameter] = field(repr=False)


def made(
    *,
    around_z: str = "nothing",
    around_guide: str | None = None,
    around_x: str = "nothing",
    likelihood: str = "normal",
    prior: str = "normal",
    posterior: str = "normal",
    in_model: str = "nothing",
    in_guide: str = "nothing",
    plate: str = "data",
) -> Drawn:
    """Put a pair of programs together; weights are the same for any seed of torch's generator."""
    around_guide = around_z if around_guide is None else around_guide
    parts = {key: value for key, value in locals().items() if isinstance(value, str)}
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = nn.Linear(FEATURES, 2 * LATENT), nn.Linear(LATENT, FEATURES)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))

    def model(x: Tensor) -> None:
        with PLATES[plate][0](x):
            with WEIGHTS[around_z](x):
                z = pyro.sample("z", PRIORS[prior][0](x))
            FURTHER[in_model][0](x)
            with WEIGHTS[around_x](x):
                pyro.sample("x", LIKELIHOODS[likelihood][0](decoder(z), x), obs=x)

    def guide(x: Tensor) -> None:
        loc, raw = encoder(x).chunk(2, -1)
        with PLATES[plate][0](x):
            FURTHER[in_guide][0](x)
            with WEIGHTS[around_guide](x):
                pyro.sample("z", POSTERIORS[posterior][0](loc, raw.exp()))

    faults = [
        fault
        for fault in (
            LIKELIHOODS[likelihood][1],
            PRIORS[prior][1],
            POSTERIORS[posterior][1],
            FURTHER[in_model][1],
            FURTHER[in_guide][1],
            PLATES[plate][1],
        )
        if fault is not None
    ]
    if in_guide == "second":
        faults.append("observed by the guide")
    if around_guide != around_z:
        faults.append("latent site 'z' has one")
    return Drawn(parts, faults, model, guide, parameters)


def pairs() -> st.SearchStrategy[Drawn]:
    """Draw pairs of which about half have nothing to refuse."""

    def some(table: dict[str, Any]) -> st.SearchStrategy[str]:
        good = [k for k, v in table.items() if not isinstance(v, tuple) or v[1] is None]
        return st.integers(0, 9).flatmap(lambda i: st.sampled_from(good if i else list(table)))

    weights = some(WEIGHTS)
    return st.fixed_dictionaries(
        {
            "around_z": weights,
            "around_guide": st.integers(0, 9).flatmap(lambda i: st.none() if i else weights),
            "around_x": weights,
            "likelihood": some(LIKELIHOODS),
            "prior": some(PRIORS),
            "posterior": some(POSTERIORS),
            "in_model": some(FURTHER),
            # Pyro's mean-field bound stumbles over a deterministic site of the guide.
            "in_guide": some(FURTHER).filter(lambda name: name != "deterministic"),
            "plate": some(PLATES),
        }
    ).map(lambda chosen: made(**chosen))
