"""A user's programs with several sites: one code of all latent ones, one law of all observed ones.

Latent sites may depend on each other in any order. To everything that works with one code they are
blocks of one vector, in the model's order, whose laws are joint ones
(:class:`pyrovae.distributions.joint.Joint`): each conditional is read off a run of the program,
given what it draws before. Sites of labels are units of the code as in built-in models. Observed
sites share x out among them: an element belongs to the one site that observes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.joint import Blocks, Joint
from pyrovae.distributions.pieces import Pieces
from pyrovae.distributions.rebatched import Rebatched
from pyrovae.models.own.latent import LatentSite
from pyrovae.models.own.sites import check_site, names_of
from pyrovae.models.sites import (
    Site,
    Terms,
    latent_sites,
    log_density,
    log_ratio,
    observed_sites,
    terms,
)

Program = Callable[..., Any]


@dataclass(frozen=True)
class Several:
    """What the sites of two programs are.

    Attributes
    ----------
    sites
        The latent ones, in the model's order.
    drawn
        Their numbers in the guide's order.
    observed
        Names of the observed sites, and the elements of x that each is of.
    event_shape
        Of x.
    renamed
        Names that sites are given here, by their own.
    """

    sites: tuple[LatentSite, ...]
    drawn: tuple[int, ...]
    observed: tuple[tuple[str, Tensor], ...]
    event_shape: tuple[int, ...]
    renamed: dict[str, str]

    @classmethod
    def of(cls, model_trace: Trace, guide_trace: Trace, x: Tensor, latent_dim: int) -> Several:
        """Find the sites of a run on data ``x``, ``(n, *event_shape)``, that all differ.

        Raises
        ------
        ConfigError
            If a site is not for each datum, the units are not ``latent_dim``, or observed sites do
            not share x out.
        """
        pairs = latent_sites(model_trace, guide_trace)
        n = len(x)
        for q, p in pairs:
            for site in (q, p):
                check_site(f"at its latent site '{site['name']}'", site, n)
        order = [name for name in model_trace.nodes if name in {q["name"] for q, _ in pairs}]
        by_name = {q["name"]: (q, p) for q, p in pairs}
        data = observed_sites(model_trace)
        # What observes all of x is called "x"; a code of that name is not.
        renamed = {str(data[0]["name"]): "x"} if len(data) == 1 else {}
        renamed = {name: f"{name}'" for name in order if name in renamed.values()} | renamed
        found = tuple(LatentSite.of(*by_name[name], name=renamed.get(name, name)) for name in order)
        marked = [site.name for site in found if site.enumerated]
        labels = [site.name for site in found if site.classes]
        if marked and len(labels) > 1:
            raise ConfigError(
                f"enumerates its site '{marked[0]}' beside other labels ({', '.join(labels)}): a "
                "sum is taken over one label alone"
            )
        units = sum(site.units for site in found)
        if units != latent_dim:
            told = ", ".join(f"{site.name}: {site.units}" for site in found)
            raise ConfigError(
                f"has {units} units in its latent sites ({told}; a label is one), and latent_dim "
                f"is {latent_dim}: got latent {names_of([q for q, _ in pairs])} and observed "
                f"{names_of(observed_sites(model_trace))}"
            )
        observed = _shared_out(data, x, renamed)
        drawn = tuple(order.index(q["name"]) for q, _ in pairs)
        return cls(found, drawn, observed, tuple(x.shape[1:]), renamed)

    @property
    def blocks(self) -> Blocks:
        """Which units are whose."""
        return Blocks(
            tuple(site.name for site in self.sites),
            tuple(site.units for site in self.sites),
            stacked=False,
        )

    @property
    def classes(self) -> tuple[int, ...] | None:
        """Labels of each unit, 0 of a real one; ``None`` where all are real."""
        each = tuple(site.classes for site in self.sites for _ in range(site.units))
        return each if any(each) else None

    @property
    def enumerated(self) -> LatentSite | None:
        """The site whose values training sums over, if there is one."""
        return next((site for site in self.sites if site.enumerated), None)

    @property
    def scored(self) -> bool:
        """Whether a site is drawn that has no derivatives."""
        return any(site.classes and not site.enumerated for site in self.sites)

    def values(self, z: Tensor) -> dict[str, Tensor]:
        """Return the values of all latent sites at codes ``(*b, d)``, by name."""
        parts = self.blocks.split(z)
        return {site.name: site.value(part) for site, part in zip(self.sites, parts, strict=True)}

    def encode(self, guide: Program, x: Tensor) -> Joint:
        """Return q(z|x) of data ``(n, *event_shape)``: batch ``(n,)``."""

        def conditional(i: int, known: Mapping[int, Tensor]) -> Distribution:
            batch = torch.broadcast_shapes(self._batch(known), x.shape[:1])
            data = x.expand(*batch, *self.event_shape).reshape(-1, *self.event_shape)
            return self._law(partial(guide, data), i, known, batch)

        return Joint(self.blocks, self.drawn, conditional, x.shape[:1])

    def prior_law(self, model: Program, blank: Callable[[int], Tensor]) -> Joint:
        """Return p(z): batch ``()``; ``blank`` makes so many observations of zeros."""

        def conditional(i: int, known: Mapping[int, Tensor]) -> Distribution:
            batch = self._batch(known)
            count = torch.Size(batch).numel()
            return self._law(partial(model, blank(count)), i, known, batch)

        return Joint(self.blocks, tuple(range(len(self.sites))), conditional)

    def decode(self, model: Program, blank: Callable[[int], Tensor], z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        batch = z.shape[:-1]
        flat = z.reshape(-1, z.shape[-1])
        given = poutine.condition(model, data=self.values(flat))
        nodes = poutine.trace(given).get_trace(blank(len(flat))).nodes
        laws = [Rebatched.of(nodes[name]["fn"], batch) for name, _ in self.observed]
        if len(laws) == 1:
            return laws[0]
        return Pieces(laws, [place.to(z.device) for _, place in self.observed], self.event_shape)

    def _batch(self, known: Mapping[int, Tensor]) -> tuple[int, ...]:
        return next((tuple(value.shape[:-1]) for value in known.values()), ())

    def _law(
        self, program: Program, i: int, known: Mapping[int, Tensor], batch: tuple[int, ...]
    ) -> Distribution:
        """Return the law of a site in a run of a program, given those before it."""
        flat = {
            j: value.expand(*batch, value.shape[-1]).reshape(-1, value.shape[-1])
            for j, value in known.items()
        }
        given = {self.sites[j].name: self.sites[j].value(code) for j, code in flat.items()}
        # Later sites are drawn for nothing; they must not move the generator.
        with torch.random.fork_rng(devices=[]):
            trace = poutine.trace(poutine.condition(program, data=given)).get_trace()
        site = self.sites[i]
        return site.law(trace.nodes[site.name]["fn"], batch)

    def enumerated_terms(
        self,
        model: Program,
        guide: Program,
        x: Tensor,
        data_size: int,
        known: Tensor | None = None,
    ) -> tuple[Terms, Tensor]:
        """Return terms whose means over the values of the enumerated site are taken exactly.

        Both programs run once, on as many copies of the data as the site has values. Where a value
        is known, ``known`` has 1 at it, ``(n, K)``: then the terms are those of that value, whose
        rate is -log p(y). Returned besides is log q(y|x) of what is known.
        """
        site = self.enumerated
        assert site is not None
        k, n = site.classes, len(x)
        copies = x.repeat(k, *(1 for _ in self.event_shape))
        labels = torch.arange(k, device=x.device, dtype=x.dtype).repeat_interleave(n)
        fixed = Trace()
        value = site.value(labels.unsqueeze(-1))
        fixed.add_node(
            site.name, type="sample", name=site.name, value=value, is_observed=False, infer={}
        )
        guide_trace = poutine.trace(poutine.replay(guide, trace=fixed)).get_trace(copies)
        replayed = poutine.replay(model, trace=guide_trace)
        model_trace = poutine.trace(replayed).get_trace(copies)
        found = terms(model_trace, guide_trace, data_size=data_size)
        q, p = guide_trace.nodes[site.name], model_trace.nodes[site.name]
        log_q = q["fn"].log_prob(value).reshape(k, n)
        weights, log_label = log_q.exp(), x.new_zeros(n)
        every = dict(zip((str(s["name"]) for s, _ in found.local), found.rates, strict=True))
        if known is not None:
            told = known.sum(-1) > 0
            log_label = (known.T * log_q).sum(0)
            weights = torch.where(told, known.T, weights)
            alone = -log_density({**p, "value": value})
            sampled = log_ratio({**q, "value": value}, p)
            every[site.name] = torch.where(told.repeat(k), alone, sampled)

        def mean(term: Tensor) -> Tensor:
            return (weights * term.reshape(k, n)).sum(0)

        rates = tuple(map(mean, every.values()))
        means = Terms(
            distortion=mean(found.distortion),
            rate=sum(rates[1:], rates[0]),
            shared=found.shared,
            data_size=data_size,
            local=found.local,
            observed=found.observed,
            rates=rates,
            closed=found.closed,
        )
        return means, log_label


def _shared_out(
    sites: Sequence[Site], x: Tensor, rename: Mapping[str, str]
) -> tuple[tuple[str, Tensor], ...]:
    """Return which elements of x each observed site is of.

    Parameters
    ----------
    sites
        Observed, of a run on ``x``.
    x
        Whose elements all differ.
    """
    n = len(x)
    flat = x.reshape(n, -1)
    places = {float(value): i for i, value in enumerate(flat[0].tolist())}
    taken: dict[int, str] = {}
    found = []
    for site in sites:
        name = str(site["name"])
        check_site(f"at its observed site '{name}'", site, n)
        value = site["value"].reshape(n, -1)
        try:
            place = [places[float(v)] for v in value[0].to(x).tolist()]
        except KeyError:
            place = []
        if not place or not torch.equal(flat[:, place], value.to(x)):
            raise ConfigError(
                f"at its observed site '{name}' observes something else than the data that it is "
                "called with: laws are compared with the data as they are"
            )
        for i in place:
            if i in taken:
                raise ConfigError(
                    f"observes some elements of x twice, at its sites '{taken[i]}' and '{name}'"
                )
            taken[i] = name
        found.append((rename.get(name, name), torch.tensor(place)))
    if len(taken) < flat.shape[1]:
        raise ConfigError(
            f"observes {len(taken)} of the {flat.shape[1]} elements of x, at its sites "
            f"{names_of(sites)}: the law of the others is not known"
        )
    return tuple(found)


def check_each(several: Several, model: Program, x: Tensor, z: Tensor) -> None:
    """Check that p(z) and p(x|z) are the same for all data, given the same code.

    Parameters
    ----------
    several, model
        The sites, and the program.
    x
        Observations that differ, ``(n, *event_shape)``.
    z
        Codes ``(n, d)``.

    Raises
    ------
    ConfigError
        With the name of a site whose law depends on x or on a datum's place.
    """
    same = z[:1].expand_as(z)
    given = several.values(same)
    trace = poutine.trace(poutine.condition(model, data=given)).get_trace(x)
    blind = poutine.trace(poutine.condition(model, data=given)).get_trace(x.roll(1, 0))
    names = [site.name for site in several.sites] + [name for name, _ in several.observed]
    for name in names:
        what = "p(x|z)" if name in dict(several.observed) else "p(z)"
        value = trace.nodes[name]["value"]
        alike = value[:1].expand_as(value)
        for run in (trace, blind):
            log = run.nodes[name]["fn"].log_prob(alike)
            if not torch.allclose(log, log[:1].expand_as(log), equal_nan=True):
                raise ConfigError(
                    f"at its site '{name}' has another {what} for each datum: it is computed from "
                    "x, or from the datum's place; to decode, the model is run without x, on zeros"
                )
