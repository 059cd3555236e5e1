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

The model's law of x must not depend on x: to decode, it is run on zeros with the code given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import Distribution, constraints, transform_to

from pyrovae.core.errors import ConfigError
from pyrovae.core.params import OwnParams
from pyrovae.distributions.rebatched import Rebatched, without_batch
from pyrovae.models.contract import LatentModel
from pyrovae.objectives import latent_sites, observed_sites, terms, trace_pair

Program = Callable[..., Any]


class UserModel(LatentModel):
    """Any model and guide with a code for each datum; its sites are renamed ``z`` and ``x``.

    Parameters
    ----------
    built
        ``(model, guide)``, or an object with these attributes: functions of the observations,
        modules (:class:`pyro.nn.PyroModule` too) or methods of one. Parameters are found in
        modules that are among them, own them as a method, or that a function closes over, and in
        ``pyro.param`` statements. PyroModules must have been made with Pyro's setting
        ``module_local_params``, so that their parameters stay with them.
    event_shape
        Shape of one observation.
    latent_dim
        Dimension of the code.

    Raises
    ------
    ConfigError
        If the programs are not as this module's docstring says.
    """

    def __init__(self, built: Any, event_shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
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
        x = torch.zeros(2, *event_shape)
        with torch.no_grad():
            self._learn_parameters(x)
            self._learn_sites(x)
        self._guide_parameters = self._touched_by_guide(x)

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Run the user's model; without ``x`` generate ``n`` observations."""
        if x is not None:
            return self._run("model", x)
        return self._run("model", self._blank(n), unconditioned=True)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """Run the user's guide."""
        return self._run("guide", x)

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x) of observations ``(n, *event_shape)``."""
        return poutine.trace(self.guide).get_trace(x).nodes["z"]["fn"]

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        flat = z.reshape(-1, self.latent_dim)
        given = poutine.condition(self.model, data={"z": flat})
        law = poutine.trace(given).get_trace(flat.new_zeros(len(flat), *self._shape))
        return Rebatched.of(law.nodes["x"]["fn"], z.shape[:-1])

    def prior_law(self) -> Distribution:
        """Return p(z): batch ``()``, event ``(latent_dim,)``."""
        # Pyro's plate gives the site's law a batch dimension, also for one datum.
        trace = poutine.trace(self.model).get_trace(self._blank(1))
        return without_batch(trace.nodes["z"]["fn"])

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether the guide uses a parameter."""
        return name in self._guide_parameters

    def _blank(self, n: int) -> Tensor:
        """Return observations of zeros, where the parameters are."""
        like = next(self.parameters(), torch.zeros(()))
        return like.new_zeros(n, *self._shape)

    def _run(self, which: str, x: Tensor, *, unconditioned: bool = False) -> Any:
        program = self._programs[which]
        if unconditioned:
            program = poutine.uncondition(program)
        # Parameters stay with the modules: the global store would share them between models. What
        # a user's program makes of plain numbers is made where its data are.
        with (
            x.device,
            pyro.settings.context(module_local_params=True),
            OwnParams(),
            _Answers(self._own, self._constraints),
            _Renamed(self._names),
        ):
            return program(x)

    def _adopt(self, part: Any) -> None:
        for module in modules_of(part):
            known = {id(m) for top in self.parts.values() for m in top.modules()}
            if id(module) not in known:
                self.parts[f"part{len(self.parts)}"] = module

    def _learn_parameters(self, x: Tensor) -> None:
        """Take the parameters that are not in modules, and make sure that none is out of sight."""
        with pyro.settings.context(module_local_params=True), _Collector() as found:
            for program in self._programs.values():
                program(x)
        mine = {id(p) for p in self.parameters()}
        for name, (value, constraint) in found.params.items():
            if "$$$" not in name:
                self._constraints[name] = constraint
                unconstrained = transform_to(constraint).inv(value.detach())
                self._own[_key(name)] = nn.Parameter(unconstrained.clone())
            elif id(value) not in mine:
                raise ConfigError(
                    f"parameter '{name.replace('$$$', '.')}' is in a module that neither is the "
                    "model or guide nor is closed over by one: return PyroModules, or functions "
                    "that name the module themselves"
                )

    def _learn_sites(self, x: Tensor) -> None:
        """Find the latent and the observed site, and check their shapes."""
        model, guide = trace_pair(self.model, self.guide, x)
        try:
            found = terms(model, guide, data_size=len(x))
        except ValueError:
            latent = [q for q, _ in latent_sites(model, guide)]
            raise ConfigError(
                "needs, in model and guide, a latent site of one name for each datum, and in the "
                f"model an observed one; shared by both: {_names(latent)}, observed: "
                f"{_names(observed_sites(model))}"
            ) from None
        latent = [q for q, _ in latent_sites(model, guide)]
        if len(latent) > 1 or len(found.observed) > 1:
            raise ConfigError(
                "needs one latent site for each datum, one observed site and no other; got latent "
                f"{_names(latent)} and observed {_names(found.observed)}"
            )
        (q, p), observed = found.local[0], found.observed[0]
        for what, site, expected in (
            ("latent", q, (self.latent_dim,)),
            ("latent", p, (self.latent_dim,)),
            ("observed", observed, self._shape),
        ):
            if tuple(site["fn"].event_shape) != tuple(expected):
                raise ConfigError(
                    f"at its {what} site '{site['name']}' needs event shape {tuple(expected)}, got "
                    f"{tuple(site['fn'].event_shape)}; to_event() makes event dimensions"
                )
        self._names = {q["name"]: "z", observed["name"]: "x"}

    def _touched_by_guide(self, x: Tensor) -> frozenset[str]:
        q = self.encode(x)
        z = q.rsample() if q.has_rsample else q.sample()
        names = [name for name, p in self.named_parameters() if p.requires_grad]
        reached = torch.autograd.grad(
            z.sum() + q.log_prob(z.detach()).sum(),
            [p for p in self.parameters() if p.requires_grad],
            allow_unused=True,
        )
        return frozenset(n for n, g in zip(names, reached, strict=True) if g is not None)


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


def _names(sites: Iterable[dict[str, Any]]) -> str:
    return ", ".join(site["name"] for site in sites) or "none"


def _key(name: str) -> str:
    # A parameter's name becomes part of a dotted path.
    return name.replace(".", "__")


class _Renamed(Messenger):
    """Gives sites other names, for all handlers outside."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self._map = names

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        msg["name"] = self._map.get(msg["name"], msg["name"])


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
