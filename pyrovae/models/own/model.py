"""A user's own pair of Pyro programs, as a model that everything else here can work with.

The programs are called with observations ``(n, *event_shape)`` alone. Each has one latent site of
event shape ``(latent_dim,)`` inside a plate over the data, of one name in both; the model has one
observed site. They are told apart by what they do, not by what they are called::

    def build(event_shape, latent_dim, *, hidden=64):
        encoder, decoder = make_networks(event_shape, latent_dim, hidden)

        def model(x):
            pyro.module("decoder", decoder)
            with pyro.plate("images", len(x)):
                code = pyro.sample("code", dist.Normal(0, 1).expand([latent_dim]).to_event(1))
                pyro.sample("image", dist.Bernoulli(logits=decoder(code)).to_event(3), obs=x)

        def guide(x): ...

        return model, guide

The model's law of x must not depend on x: to decode, it is run on zeros with the code given. A
conditional model is called with its context behind the observations, ``model(x, c)``, and all three
laws may depend on it. What sites may be is in :mod:`pyrovae.models.own.sites`; of several, and of
labels, in :mod:`pyrovae.models.own.several`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import Distribution, constraints, transform_to

from pyrovae.core.errors import ConfigError, PyrovaeError
from pyrovae.core.given import Data, Given, arguments, observed
from pyrovae.core.measuring import measuring
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions.rebatched import Rebatched, without_batch
from pyrovae.models.condition import Condition
from pyrovae.models.contract import LatentModel
from pyrovae.models.own.asked import (
    check_arguments,
    check_guide,
    check_sizes,
    failed,
    fails_on_more,
    unset,
)
from pyrovae.models.own.latent import LatentSite
from pyrovae.models.own.parameters import leaves, modules_used, places
from pyrovae.models.own.several import Several, check_each
from pyrovae.models.own.sites import Sites, check_laws, check_weights, find_sites, many_sites
from pyrovae.models.sites import Terms, latent_sites, scored, terms, trace_pair

Program = Callable[..., Any]

#: Codes of each datum that score-function gradients compare with each other.
SCORE_DRAWS = 4


class UserModel(LatentModel):
    """Any model and guide with a code for each datum; its sites are renamed ``z`` and ``x``.

    Parameters
    ----------
    built
        ``(model, guide)``, or an object with these attributes: functions of the observations,
        modules (:class:`pyro.nn.PyroModule` too), methods, or objects that can be called.
        Parameters are found in ``pyro.param`` statements and in modules that the programs use, also
        within containers and objects; what is used and not found is refused by name. Parameters
        that need no gradient stay as they are. PyroModules must have been made with Pyro's setting
        ``module_local_params``, so that their parameters stay with them.
    event_shape
        Shape of one observation.
    latent_dim
        Dimension of the code.
    condition
        Of a model whose programs are given a context, their second argument: k numbers for each
        datum, or a :class:`pyrovae.models.condition.Condition`. The prior is taken to depend on it.

    Raises
    ------
    ConfigError
        If the programs are not as this module's docstring says.

    Examples
    --------
    >>> import pyro, torch
    >>> import pyro.distributions as dist
    >>> net = torch.nn.Linear(2, 3)
    >>> def model(x, c):
    ...     with pyro.plate("data", len(x)):
    ...         z = pyro.sample("z", dist.Normal(c, 1.0).to_event(1))
    ...         pyro.sample("x", dist.Normal(net(z), 1.0).to_event(1), obs=x)
    >>> def guide(x, c):
    ...     with pyro.plate("data", len(x)):
    ...         pyro.sample("z", dist.Normal(c + x[:, :2], 1.0).to_event(1))
    >>> vae = UserModel((model, guide), (3,), 2, condition=2)
    >>> vae.prior_law(context=torch.ones(5, 2)).mean.shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        built: Any,
        event_shape: tuple[int, ...],
        latent_dim: int,
        *,
        condition: Condition | int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(condition, int):
            condition = Condition(condition, prior=True)
        self.condition = condition and replace(condition, prior=True)
        self.latent_dim = latent_dim
        self.event_shape = self._shape = tuple(event_shape)
        model, guide = _pair(built)
        # Not attributes: a module would be registered a second time.
        self._programs = {"model": model, "guide": guide}
        self.parts = nn.ModuleDict()
        for part in (built, model, guide):
            self._adopt(part)
        self._own = nn.ParameterDict()
        self._constraints: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._several: Several | None = None
        self._learning = True
        for which, program in self._programs.items():
            check_arguments(which, program, conditional=condition is not None)
        used = modules_used(model, guide)
        try:
            with measuring(*used):
                self._learn(used)
        except PyrovaeError:
            raise
        except Exception as error:
            raise failed(error, event_shape) from error

    def model(
        self, x: Tensor | None = None, n: int | Tensor = 1, context: Tensor | None = None
    ) -> Tensor:
        """Run the user's model; without ``x`` generate ``n`` observations.

        A tensor for ``n`` is the context, ``(n, k)``.
        """
        return self._run("model", x, n, context)

    def guide(self, x: Tensor, n: int | Tensor = 1, context: Tensor | None = None) -> Tensor:
        """Run the user's guide."""
        return self._run("guide", x, n, context)

    def datum_model(
        self, x: Tensor | None = None, n: int | Tensor = 1, context: Tensor | None = None
    ) -> Tensor:
        """Run the user's model with its laws alone: no site is scaled or masked."""
        return self._run("model", x, n, context, weighted=False)

    def datum_guide(self, x: Tensor, n: int | Tensor = 1, context: Tensor | None = None) -> Tensor:
        """Run the user's guide with its laws alone: no site is scaled or masked."""
        return self._run("guide", x, n, context, weighted=False)

    def training_terms(self, x: Data, *, samples: int, data_size: int) -> Terms:
        """Return what the programs say of a minibatch; sums and scores where a site has labels.

        Draws for a baseline are copies of the data, as programs take any number of them.
        """
        several = self._several
        if several is None or several.classes is None:
            return super().training_terms(x, samples=samples, data_size=data_size)
        if several.enumerated is not None:
            return self.terms_given_labels(observed(x), data_size=data_size)[0]
        return scored(self.drawn_terms(x, samples=max(samples, self.draws), data_size=data_size))

    def drawn_terms(self, x: Data, *, samples: int, data_size: int) -> Terms:
        """Return what the programs say at so many codes of each datum."""
        several = self._several
        if several is None or several.classes is None:
            return super().drawn_terms(x, samples=samples, data_size=data_size)
        if several.enumerated is not None:
            raise ConfigError(
                f"draws labels, and training sums over those of site '{several.enumerated.name}'"
            )
        copies = observed(x).repeat(samples, *(1 for _ in self._shape))
        found = terms(*trace_pair(self.model, self.guide, copies), data_size=data_size)
        distortion, *rates = (t.reshape(samples, -1) for t in (found.distortion, *found.rates))
        whole = sum(rates[1:], rates[0])
        return replace(found, distortion=distortion, rates=tuple(rates), rate=whole)

    @property
    def summed(self) -> LatentSite | None:
        """The label that training sums over, if there is one."""
        return None if self._several is None else self._several.enumerated

    def terms_given_labels(self, x: Data, *, data_size: int) -> tuple[Terms, Tensor]:
        """Return the terms of a model that sums over a label, and log q(y|x) of known ones.

        Parameters
        ----------
        x
            Observations; where the label is known for some, with a context ``(n, K)``: 1 at the
            label, and rows of 0 for data whose label is not known.
        data_size
            Size N of the training set.

        Returns
        -------
        terms
            Of the label that is known, else their mean over q(y|x), exactly.
        log_label
            log q(y|x), ``(n,)``; 0 where y is not known.
        """
        assert self._several is not None
        known = x.context if isinstance(x, Given) else None
        return self._several.enumerated_terms(self.model, self.guide, observed(x), data_size, known)

    def latents(self, z: Tensor) -> dict[str, Tensor]:
        """Return the values of the latent sites at codes ``(*b, latent_dim)``, by name."""
        return super().latents(z) if self._several is None else self._several.values(z)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """Return q(z|x), or q(z|x, c), of observations ``(n, *event_shape)``."""
        if self._several is not None:
            return self._several.encode(self.guide, x)
        return poutine.trace(self.guide).get_trace(x, *_some(context)).nodes["z"]["fn"]

    def decode(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        """Return p(x|z), or p(x|z, c): batch ``(*b,)``, event ``event_shape``.

        A context broadcasts to ``b``.
        """
        if self._several is not None:
            return self._several.decode(self.datum_model, self._blank, z)
        flat, batch = z.reshape(-1, self.latent_dim), z.shape[:-1]
        given = poutine.condition(self.model, data={"z": flat})
        law = poutine.trace(given).get_trace(
            flat.new_zeros(len(flat), *self._shape), *_some(context, batch)
        )
        return Rebatched.of(law.nodes["x"]["fn"], batch)

    def reconstruct(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E[x|z], or E[x|z, c], ``(*b, *event_shape)``."""
        return self.decode_with_mean(z, context)[1]

    def decode_with_mean(
        self, z: Tensor, context: Tensor | None = None
    ) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and :meth:`reconstruct` of the same codes, decoded once."""
        law = self.decode(z, context)
        return law, law.mean

    def prior_law(self, context: Tensor | None = None) -> Distribution:
        """Return p(z): batch ``()``, event ``(latent_dim,)``.

        Of p(z|c) the batch is that of the contexts, ``(*b, k)``.
        """
        if self._several is not None:
            return self._several.prior_law(self.model, self._blank)
        if self.condition is not None:
            context = self.condition.require(context, "prior")
            batch = context.shape[:-1]
            x = self._blank(batch.numel())
            trace = poutine.trace(self.model).get_trace(x, *_some(context, batch))
            return Rebatched.of(trace.nodes["z"]["fn"], batch)
        # Pyro's plate gives the site's law a batch dimension, also for one datum.
        trace = poutine.trace(self.model).get_trace(self._blank(1))
        return without_batch(trace.nodes["z"]["fn"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Version 0.1.0 also wrote copies, which nothing used, of what PyroModules announce.
        for name in [n for n in state_dict if n.startswith(f"{prefix}_own.")]:
            if name.removeprefix(f"{prefix}_own.") not in self._own:
                del state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether the guide uses a parameter."""
        return name in self._guide_parameters

    def _blank_context(self, n: int) -> tuple[Tensor, ...]:
        """Return a context of zeros, as a further argument, for a model that is given one."""
        return () if self.condition is None else (torch.zeros(n, self.condition.size),)

    def _blank(self, n: int) -> Tensor:
        """Return observations of zeros, where the parameters are."""
        like = next(self.parameters(), torch.zeros(()))
        return like.new_zeros(n, *self._shape)

    def _run(
        self,
        which: str,
        x: Tensor | None,
        n: int | Tensor = 1,
        context: Tensor | None = None,
        *,
        weighted: bool = True,
    ) -> Any:
        program = self._programs[which]
        if isinstance(n, Tensor):
            context = n
        more: tuple[Tensor, ...] = ()
        if self.condition is not None:
            more = (self.condition.require(context, which),)
        if x is None:
            count = len(more[0]) if more else int(n)
            program, x = poutine.uncondition(program), self._blank(count)
        # Parameters stay with the modules: the global store would share them between models. What
        # a user's program makes of plain numbers is made where its data are.
        with (
            x.device,
            pyro.settings.context(module_local_params=True),
            OwnParams(),
            _Answers(self._own, self._constraints),
            Sites(
                self._names, weighted=weighted, marked=self._learning or self._several is not None
            ),
        ):
            return program(x, *more)

    def _adopt(self, part: Any) -> None:
        for module in modules_of(part):
            known = {id(m) for top in self.parts.values() for m in top.modules()}
            if id(module) not in known:
                self.parts[f"part{len(self.parts)}"] = module

    def _learn(self, used: list[nn.Module]) -> None:
        """Run the programs on a few data, to learn what they are made of."""
        with torch.no_grad():
            check_guide(used, self._programs["model"], self._blank(2), *self._blank_context(2))
            announced = self._learn_parameters()
        # Data that differ, neither 0 nor 1: what a site makes of them shows.
        with seeded(0), pyro.validation_enabled(False), torch.enable_grad():
            x = 0.1 + 0.8 * torch.rand(5, *self._shape)
            if self.condition is None:
                self._learn_sites(x)
                self._learn_use(x, announced)
                return
            # One context for all: laws that differ from datum to datum do so by place.
            c = torch.rand(1, self.condition.size).expand(5, -1)
            self._learn_sites(Given(x, c))
            self._learn_use(Given(x, torch.rand(5, self.condition.size)), announced)

    def _learn_parameters(self) -> list[Tensor]:
        """Take the parameters that are not in modules; return those announced by a module."""
        found = self._collected(2)
        try:
            more = self._collected(3)
        except Exception as error:
            raise fails_on_more(error) from error
        check_sizes(*({k: tuple(v.shape) for k, (v, _) in f.params.items()} for f in (found, more)))
        mine = {id(p) for p in self.parameters()}
        for name, (value, constraint) in found.params.items():
            # A PyroModule announces the parameters that it keeps itself.
            kept = id(value) in mine and constraint is constraints.real
            if "$$$" not in name and not kept:
                self._constraints[name] = constraint
                unconstrained = transform_to(constraint).inv(value.detach())
                self._own[_key(name)] = nn.Parameter(unconstrained.clone())
        return [value for name, (value, _) in found.params.items() if "$$$" in name]

    def _collected(self, n: int) -> _Collector:
        """Run both programs on ``n`` data and note what parameters they announce."""
        x = torch.zeros(n, *self._shape), *self._blank_context(n)
        with pyro.settings.context(module_local_params=True), _Collector() as found:
            model, guide = self._programs.values()
            try:
                model(*x)
            except KeyError:  # Pyro runs the guide first: the model may rely on its parameters
                guide(*x)
                model(*x)
            else:
                guide(*x)
        return found

    def _learn_sites(self, data: Data) -> None:
        """Find the latent and the observed site, and check them."""
        x: Tensor = observed(data)
        with torch.no_grad():
            traces = trace_pair(self.model, self.guide, data)
            self._learning = False
            if many_sites(*traces):
                if self.condition is not None:
                    raise ConfigError(
                        "is given a context, and has several sites or labels: a conditional model "
                        "of one's own has one real code and one observation for each datum"
                    )
                self._learn_several(*traces, x)
                return
            try:
                sites = find_sites(*traces, x, self.latent_dim)
            except ConfigError as error:
                told = "" if self.condition is not None else unset(self._programs["model"])
                raise ConfigError(error.message + told) from None
            check_laws(lambda x: self.model(x, *arguments(data)[1:]), sites, x)
        self._names = {sites.q["name"]: "z", sites.x["name"]: "x"}

    def _learn_several(self, model_trace: Trace, guide_trace: Trace, x: Tensor) -> None:
        """Take several sites, or one that is no real code."""
        several = Several.of(model_trace, guide_trace, x, self.latent_dim)
        self._several, self._names = several, several.renamed
        self.blocks, self.classes = several.blocks, several.classes
        self.space = "mixed" if several.classes else "real"
        self.draws = SCORE_DRAWS if several.scored else 1
        pairs = latent_sites(model_trace, guide_trace)
        for q, p in pairs:
            check_weights(q, p, len(x), full=True)
        z = self.encode(x).sample()
        check_each(several, self.datum_model, x, z)

    def _learn_use(self, x: Data, announced: list[Tensor]) -> None:
        """Take every parameter that the loss depends on, and make sure that none is out of sight.

        What a module announces (:func:`pyro.module`) is trained wherever it is kept. Without that,
        a module inside another that has not registered it may be meant not to be trained.
        """
        found = terms(*trace_pair(self.model, self.guide, x))
        of_guide = [q for q, _ in found.local]
        by_guide = leaves(
            [part for q in of_guide for part in (q["value"], q["fn"].log_prob(q["value"]))]
        )
        used = [*by_guide, *leaves([found.distortion, found.rate, found.log_ratio]), *announced]
        lost = {id(p): p for p in used if p.requires_grad}
        for p in self.parameters():
            lost.pop(id(p), None)
        if lost:
            self._search(lost, {id(p) for p in announced})
        mine = {id(p) for p in by_guide}
        self._guide_parameters = frozenset(n for n, p in self.named_parameters() if id(p) in mine)

    def _search(self, lost: dict[int, Tensor], announced: set[int]) -> None:
        """Adopt modules with parameters that are used but not among this model's."""
        where: dict[int, str] = {}
        for path, found, hidden in places(self._programs):
            if isinstance(found, Tensor):
                where.setdefault(id(found), path)
                continue
            inside = {id(p): f"{path}.{name}" for name, p in found.named_parameters()}
            if lost.keys() & inside.keys() and (not hidden or announced & inside.keys()):
                self.parts[f"part{len(self.parts)}"] = found
                lost = {key: p for key, p in lost.items() if key not in inside}
            where = inside | where
            if not lost:
                return
        told = [where.get(key, f"one of shape {tuple(p.shape)}") for key, p in lost.items()]
        raise ConfigError(
            f"depends on parameters that would not be trained: {', '.join(told)}; register them "
            "in a module that the program names (nn.ModuleList and nn.ModuleDict in place of list "
            "and dict), use pyro.param, or set requires_grad_(False)"
        )


def _some(context: Tensor | None, batch: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    """Return a context as a further argument, one for each datum of a batch ``b`` if that is given.

    It broadcasts to ``b``, and becomes ``(n, k)``.
    """
    if context is None:
        return ()
    if batch is not None:
        context = context.expand(*batch, context.shape[-1])
    return (context.reshape(-1, context.shape[-1]),)


def _pair(built: Any) -> tuple[Program, Program]:
    if isinstance(built, tuple) and len(built) == 2:
        model, guide = built
    else:
        model, guide = getattr(built, "model", None), getattr(built, "guide", None)
    if not callable(model) or not callable(guide):
        raise ConfigError(
            "must give (model, guide), or an object with both as methods, got "
            f"{type(built).__name__}"
        )
    return model, guide


def modules_of(part: Any) -> list[nn.Module]:
    """Return the modules that a program visibly uses."""
    if isinstance(part, nn.Module):
        return [part]
    if isinstance(part, partial):
        inside = [*part.args, *part.keywords.values()]
        return [*modules_of(part.func), *(m for v in inside for m in modules_of(v))]
    owner = getattr(part, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    if not inspect.isfunction(part):
        return []
    seen = inspect.getclosurevars(part)
    return [v for v in {**seen.globals, **seen.nonlocals}.values() if isinstance(v, nn.Module)]


def _key(name: str) -> str:
    # A parameter's name becomes part of a dotted path.
    return name.replace(".", "__")


class _Answers(Messenger):
    """Answers ``pyro.param`` with the constrained value of a parameter that the wrapper holds."""

    def __init__(self, own: nn.ParameterDict, known: dict[str, Any]) -> None:
        super().__init__()
        self._own, self._known = own, known

    def _pyro_param(self, msg: dict[str, Any]) -> None:
        if msg["name"] in self._known:
            value = self._own[_key(msg["name"])]
            msg["value"] = transform_to(self._known[msg["name"]])(value)
            msg["done"] = msg["stop"] = True


class _Collector(Messenger):
    """Notes the value and constraint of each parameter that a program announces."""

    def __init__(self) -> None:
        super().__init__()
        self.params: dict[str, tuple[Tensor, Any]] = {}

    def _pyro_param(self, msg: dict[str, Any]) -> None:
        name = msg["name"]
        if len(msg["args"]) > 1 and name not in self.params:
            value = msg["args"][1]
            constraint = msg["kwargs"].get("constraint", constraints.real)
            self.params[name] = (value() if callable(value) else value, constraint)
        if name in self.params:
            msg["value"] = self.params[name][0]
            msg["done"] = msg["stop"] = True
