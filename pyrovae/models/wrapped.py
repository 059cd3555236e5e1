"""Encoders and decoders made elsewhere, as a model that everything else here can work with."""

from __future__ import annotations

import copy
import math
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Literal

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.rebatched import Rebatched
from pyrovae.models.contract import LatentModel
from pyrovae.models.likelihoods import Likelihood
from pyrovae.models.own.model import modules_of
from pyrovae.models.posteriors import Posterior
from pyrovae.models.priors import Prior

#: What the second of an encoder's two outputs may be.
Spread = Literal["logvar", "log_scale", "scale"]
_TO_SCALE: dict[str, Callable[[Tensor], Tensor]] = {
    "logvar": lambda raw: (0.5 * raw).exp(),
    "log_scale": torch.exp,
    "scale": lambda raw: raw,
}


class Wrapped(LatentModel):
    """Any encoder and decoder, with a prior. What :func:`pyrovae.wrap` makes.

    Modules are copied, so that what is done here leaves the originals alone. Those that a plain
    function closes over are not, and are run in evaluation mode without a change of their own.

    Parameters
    ----------
    encode
        ``(n, *event_shape)`` to q(z|x): a law with ``n`` codes, a pair of tensors ``(n, d)``, or
        one tensor ``(n, 2 d)``, the pair side by side; with ``posterior``, its features.
    decode
        ``(n, d)`` to p(x|z): a law of ``n`` observations, or what ``likelihood`` makes one of.
    prior
        p(z).
    event_shape
        Shape of one observation; that of what ``decode`` gives, if ``None``.
    spread
        What the second of a pair is: ``logvar`` the log of the variance, ``log_scale`` that of the
        standard deviation, ``scale`` the standard deviation itself. The first is the mean.
    posterior
        From the encoder's features to q(z|x).
    likelihood
        From the event shape to what makes p(x|z) of a decoder's tensors.

    Raises
    ------
    ConfigError
        If they do not go together, with the shapes.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], Any],
        decode: Callable[[Tensor], Any],
        prior: Prior,
        *,
        event_shape: tuple[int, ...] | None = None,
        spread: Spread = "logvar",
        posterior: Posterior | None = None,
        likelihood: Callable[[tuple[int, ...]], Likelihood] | None = None,
    ) -> None:
        super().__init__()
        if prior.unit_classes or (posterior is not None and posterior.unit_classes):
            raise ConfigError("has codes of labels: these are for models that are built", "prior")
        self.latent_dim, self.prior, self.posterior = prior.latent_dim, prior, posterior
        self.space = posterior.space if posterior else prior.space or "real"
        self._spread = _TO_SCALE[spread]
        memo: dict[int, Any] = {}
        own_encode, own_decode = _copied(encode, memo), _copied(decode, memo)
        if isinstance(own_encode, nn.Module):
            self.encoder = own_encode
        if isinstance(own_decode, nn.Module):
            self.decoder = own_decode
        # Not attributes: a module would be registered a second time.
        self._programs = {"encode": own_encode, "decode": own_decode}
        self.parts = nn.ModuleList(
            {id(m): m for f in (own_encode, own_decode) for m in modules_of(f)}.values()
        )
        self.likelihood: Likelihood | None = None
        self.event_shape = self._shape = self._learn_shape(event_shape, likelihood)
        self._check()
        prior.bind(self.encode, self._shape)

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model p(z) p(x|z); see :meth:`pyrovae.models.vae.VAE.model`."""
        return self._generate(self.prior(), x, n)

    def datum_model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """:meth:`model` with the prior's global sites at their medians."""
        return self._generate(self.prior.fitted(), x, n)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """Variational posterior: the prior's global sites, and q(z|x)."""
        self.prior.guide()
        return self.datum_guide(x, n)

    def datum_guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z|x) alone."""
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", self.encode(x))

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x): batch ``(*b,)``, event ``(latent_dim,)``."""
        batch = x.shape[: x.dim() - len(self._shape)]
        given = self._run("encode", x.reshape(-1, *self._shape))
        if isinstance(given, Distribution):
            return Rebatched.of(_law(given, 1, "encode"), batch)
        if self.posterior is not None:
            return self.posterior(given.reshape(*batch, given.shape[-1]))
        loc, raw = _pair(given)
        shape = (*batch, self.latent_dim)
        return dist.Normal(loc.reshape(shape), self._spread(raw).reshape(shape)).to_event(1)

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        given = self._decoded(z)
        return self.likelihood(given) if self.likelihood is not None else self._own(given, z)

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return p(x|z) and E[x|z] of the same codes, decoded once."""
        given = self._decoded(z)
        if self.likelihood is not None:
            return self.likelihood(given), self.likelihood.mean(given)
        law = self._own(given, z)
        return law, law.mean

    def _decoded(self, z: Tensor) -> Tensor:
        given = self._run("decode", z.reshape(-1, self.latent_dim))
        if self.likelihood is None:
            return given
        return given.reshape(*z.shape[:-1], *self.likelihood.output_shape)

    def _own(self, given: Tensor, z: Tensor) -> Distribution:
        return Rebatched.of(_law(given, len(self._shape), "decode"), z.shape[:-1])

    def prior_law(self) -> Distribution:
        """Return p(z), global sites at their medians: batch ``()``, event ``(latent_dim,)``."""
        return self.prior.fitted()

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether the encoder uses a parameter."""
        return name in self._of_the_guide

    @cached_property
    def _of_the_guide(self) -> frozenset[str]:
        q = self.encode(self._zeros(*self._shape))
        named = {name: p for name, p in self.named_parameters() if p.requires_grad}
        with torch.random.fork_rng(devices=[]):
            z = q.rsample() if q.has_rsample else q.sample()
        total = z.sum() + q.log_prob(z.detach()).sum()
        if not named or not total.requires_grad:
            return frozenset()
        reached = torch.autograd.grad(total, list(named.values()), allow_unused=True)
        return frozenset(n for n, g in zip(named, reached, strict=True) if g is not None)

    def _generate(self, prior: Distribution, x: Tensor | None, n: int) -> Tensor:
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            z = pyro.sample("z", prior)
            return pyro.sample("x", self.decode(z), obs=x)

    def _run(self, which: str, given: Tensor) -> Any:
        with _evaluating(self.parts):
            return self._programs[which](given)

    def _zeros(self, *shape: int) -> Tensor:
        like = next(self.parameters(), torch.zeros(()))
        return like.new_zeros(2, *shape)

    def _learn_shape(
        self,
        event_shape: tuple[int, ...] | None,
        likelihood: Callable[[tuple[int, ...]], Likelihood] | None,
    ) -> tuple[int, ...]:
        """Return the shape of one observation, and make the likelihood for it."""
        given = self._tried("decode", self._zeros(self.latent_dim))
        if isinstance(given, Distribution):
            if likelihood is not None:
                raise ConfigError("gives a law of its own: leave 'likelihood' out", "decode")
            whole = tuple(given.batch_shape + given.event_shape)
            found = whole[1:]
        elif isinstance(given, Tensor):
            if likelihood is None:
                raise ConfigError(
                    "gives a tensor: name the 'likelihood' that it is for, or give a distribution",
                    "decode",
                )
            whole = tuple(given.shape)
            found = whole[1:]
        else:
            kind = type(given).__name__
            raise ConfigError(f"must give a distribution or a tensor, got {kind}", "decode")
        if not whole or whole[0] != 2 or not found:
            raise ConfigError(f"gives shape {whole} for 2 codes: must be (2, …)", "decode")
        if likelihood is None:
            if event_shape is not None and found != event_shape:
                raise ConfigError(f"gives laws of {found}, not of {event_shape}", "decode")
            return found
        made = likelihood(event_shape or found)
        if event_shape is None:
            event_shape = found if made.outputs_per_element == 1 else found[1:]
            made = likelihood(event_shape)
        if math.prod(found) != math.prod(made.output_shape) or not event_shape:
            wanted = made.output_shape
            raise ConfigError(f"gives {found} for one code; likelihood reads {wanted}", "decode")
        self.likelihood = made
        # Of so many logits, some are below 0.
        looks_squashed = given.numel() >= 16 and bool(((given >= 0) & (given <= 1)).all())
        one = math.prod(made.output_shape) == math.prod(event_shape)
        if made.support == "unit" and one and looks_squashed:
            warnings.warn(
                "decode gives numbers in [0, 1] alone, and the likelihood takes them for logits: "
                "for a decoder that ends in a sigmoid give lambda z: net.decode(z).logit(1e-6)",
                stacklevel=4,
            )
        return event_shape

    def _check(self) -> None:
        """Encode nothing, and say what does not go with the prior."""
        given = self._tried("encode", self._zeros(*self._shape))
        if isinstance(given, Distribution):
            shape = tuple(given.batch_shape + given.event_shape)
        elif self.posterior is not None and isinstance(given, Tensor):
            wanted = (2, self.posterior.features)
            if given.shape != wanted:
                told = f"gives features {tuple(given.shape)} for 2 observations"
                raise ConfigError(f"{told}; the posterior reads {wanted}", "encode")
            return
        else:
            loc, raw = _pair(given)
            shape = tuple(loc.shape)
            if raw.shape != loc.shape:
                raise ConfigError(f"gives {shape} and {tuple(raw.shape)}", "encode")
            if not (self._spread(raw) > 0).all():
                raise ConfigError(
                    "gives a scale that is not above 0: is it spread='logvar'?", "encode"
                )
        if shape != (2, self.latent_dim):
            raise ConfigError(
                f"gives codes {shape} for 2 observations; the prior's latent_dim is "
                f"{self.latent_dim}",
                "encode",
            )

    def _tried(self, which: str, given: Tensor) -> Any:
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                return self._run(which, given)
        except Exception as failure:
            told = str(failure).strip().splitlines()
            reason = f"{type(failure).__name__}: {told[0] if told else ''}"
            raise ConfigError(f"fails on shape {tuple(given.shape)}: {reason}", which) from failure


class FixedPrior(Prior):
    """A law of codes as it is.

    Parameters
    ----------
    law
        Batch ``()`` and event ``(d,)``, or batch ``(d,)`` of numbers.
    """

    def __init__(self, law: Distribution) -> None:
        law = _law(law, 1, "prior")
        if law.batch_shape or len(law.event_shape) != 1:
            shapes = f"batch {tuple(law.batch_shape)} and event {tuple(law.event_shape)}"
            raise ConfigError(f"must be a law of one code, of event shape (d,); got {shapes}")
        super().__init__(law.event_shape[0])
        self.law = law

    def forward(self) -> Distribution:
        """Return the law."""
        return self.law


def _law(given: Any, event_dims: int, place: str) -> Any:
    """Return a law as Pyro's, its last dimensions as those of the event."""
    if not isinstance(given, Distribution):
        raise ConfigError(f"must give a distribution, got {type(given).__name__}", place)
    law = _as_pyro(given, place)
    missing = event_dims - len(law.event_shape)
    return law.to_event(missing) if missing > 0 else law


def _as_pyro(law: Distribution, place: str) -> Any:
    """Return a law of torch's as that of Pyro, which shares all but what Pyro adds."""
    if isinstance(law, TorchDistributionMixin):
        return law
    family = getattr(dist, type(law).__name__, None)
    if family is None or not issubclass(family, type(law)):
        name = type(law).__name__
        raise ConfigError(f"{name} is not a law that Pyro knows: derive it from Pyro's", place)
    made: Any = copy.copy(law)
    made.__class__ = family
    inside = getattr(law, "base_dist", None)
    if isinstance(inside, Distribution):
        made.base_dist = _as_pyro(inside, place)
    return made


def _pair(given: Any) -> tuple[Tensor, Tensor]:
    if isinstance(given, Tensor) and given.dim() == 2 and given.shape[-1] % 2 == 0:
        loc, raw = given.chunk(2, -1)
        return loc, raw
    is_pair = isinstance(given, Sequence) and len(given) == 2
    if is_pair and all(isinstance(part, Tensor) for part in given):
        return given[0], given[1]
    what = (
        f"{len(given)} things" if isinstance(given, Sequence) else
        f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
    )  # fmt: skip
    raise ConfigError(f"must give a distribution or a pair (mean, spread), got {what}", "encode")


def _copied(function: Any, memo: dict[int, Any]) -> Any:
    """Return a function of copied modules, or itself where there is none to be copied."""
    try:
        if isinstance(function, nn.Module):
            return copy.deepcopy(function, memo)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, nn.Module):
            return types.MethodType(function.__func__, copy.deepcopy(owner, memo))
        if isinstance(function, partial):
            inside = [_copied(part, memo) for part in function.args]
            named = {key: _copied(part, memo) for key, part in function.keywords.items()}
            return partial(_copied(function.func, memo), *inside, **named)
    except (RuntimeError, TypeError):  # tensors in the middle of a graph
        return function
    return function


@contextmanager
def _evaluating(modules: nn.ModuleList) -> Iterator[None]:
    """Run in evaluation mode, and leave each module in its own."""
    training = [m for m in modules.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
