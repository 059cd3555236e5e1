"""A VAE with layers of codes, whose joint law is one distribution of one vector."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pyro
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.seeded import seeded
from pyrovae.distributions import marginals
from pyrovae.distributions.joint import Blocks, Joint
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered.between import Below, between
from pyrovae.models.layered.settings import Layers
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood
from pyrovae.models.networks import NETWORKS, Network
from pyrovae.models.posteriors import POSTERIORS, Posterior
from pyrovae.models.priors import PRIORS, Prior
from pyrovae.models.spaces import SPACES
from pyrovae.models.vae import announce, made, placed

_instances = itertools.count()


class LayeredVAE(LatentModel):
    r"""A variational autoencoder with layers of codes; :meth:`model` and :meth:`guide` are Pyro's.

    .. math::

        p(x, z_1, \dots, z_L) = p(x \mid z_1)\, p(z_1 \mid z_2) \cdots p(z_{L-1} \mid z_L)\, p(z_L)

    with latent sites ``z1`` (nearest to the data) … ``zL`` in the plate ``"data"``. The guide is

    - ``bottom_up``: :math:`q(z_1 \mid x)\, q(z_2 \mid z_1) \cdots q(z_L \mid z_{L-1})`, or
    - ``ladder``: :math:`q(z_L \mid x)\, q(z_{L-1} \mid z_L, x) \cdots q(z_1 \mid z_2, x)`, which
      reads what the prior's networks make of the layer above.

    To everything that works with one code the layers are one vector, z1 first: :meth:`encode` and
    :meth:`prior_law` give the joint laws (:class:`pyrovae.distributions.joint.Joint`), and
    :attr:`blocks` tells which units are whose.

    Parameters
    ----------
    layers
        Sizes, guide and so on.
    prior
        Of the top layer.
    below
        p(z_l | z_{l+1}) of the others, z1 first.
    decoder
        ``(*b, decoder_width) -> (*b, *likelihood.output_shape)``.
    likelihood
        The decoder's output to p(x|z).
    encoder
        ``(*b, *event_shape) -> (*b, features)``.
    up
        Networks from the features that one layer's posterior reads to those of the next, of x
        (``ladder``), or from its code (``bottom_up``): for z2 … zL.
    posteriors
        Of each layer, z1 first.
    data
        Observations ``(n, *event_shape)`` that a prior may take its start from.

    References
    ----------
    Sønderby et al. 2016, arXiv:1602.02282 (bottom-up and ladder inference); Kingma et al. 2016,
    arXiv:1606.04934, sec. 4 (what the ladder shares, for any family)
    """

    def __init__(
        self,
        *,
        layers: Layers,
        prior: Prior,
        below: Sequence[Below],
        decoder: nn.Module,
        likelihood: Likelihood,
        encoder: nn.Module,
        up: Sequence[nn.Module],
        posteriors: Sequence[Posterior],
        data: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.blocks: Blocks = Blocks.of(layers.sizes)
        self.latent_dim, self.event_shape = layers.total, likelihood.event_shape
        self.prior, self.below = prior, nn.ModuleList(below)
        self.decoder, self.likelihood = decoder, likelihood
        self.encoder, self.up = encoder, nn.ModuleList(up)
        self.posteriors = nn.ModuleList(posteriors)
        #: Names and parameters of the parts, as far as they were built from them.
        self.configuration: dict[str, Mapping[str, Any]] = {}
        self._site = f"layered{next(_instances)}"
        model: tuple[str, ...] = ("prior", "below", "decoder", "likelihood")
        guide: tuple[str, ...] = ("encoder", "up", "posteriors")
        # A ladder reads the prior's networks; a VampPrior is made of the encoder.
        self._guide_parts = (*guide, *(("below",) if layers.guide == "ladder" else ()))
        self._model_parts = (*model, *(guide if prior.needs_encoder else ()))
        prior.bind(self._top, likelihood.event_shape, data)

    @property
    def encoder_shape(self) -> tuple[int, ...]:
        """Shape of what the encoder reads for one datum."""
        return self.likelihood.event_shape

    @property
    def decoder_width(self) -> int:
        """Numbers that the decoder reads for one datum: z1, or every layer."""
        return self.latent_dim if self.layers.skip else self.layers.sizes[0]

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model; see :meth:`pyrovae.models.vae.VAE.model`."""
        announce(self, self._site, self._model_parts)
        return self._generate(self.prior(), x, n, learn=x is not None)

    def datum_model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """:meth:`model` with the top prior's global sites at their medians."""
        announce(self, self._site, self._model_parts)
        return self._generate(self.prior.fitted(), x, n, learn=False)

    def _generate(self, prior: Distribution, x: Tensor | None, n: int, *, learn: bool) -> Tensor:
        law = self._prior_law(prior)
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            known = self._sampled(law)
            if learn:
                self.prior.learn_from(known[len(self.blocks) - 1])
            z = torch.cat([known[i] for i in range(len(self.blocks))], -1)
            return pyro.sample("x", self.decode(z), obs=x)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """Variational posterior: the top prior's global sites, and q(z1 … zL|x)."""
        self.prior.guide()
        return self.datum_guide(x, n)

    def datum_guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z1 … zL|x) alone."""
        announce(self, self._site, self._guide_parts)
        with pyro.plate("data", len(x), dim=-1):
            known = self._sampled(self.encode(x))
        return torch.cat([known[i] for i in range(len(self.blocks))], -1)

    def _sampled(self, law: Joint) -> dict[int, Tensor]:
        known: dict[int, Tensor] = {}
        for i in law.order:
            known[i] = pyro.sample(self.blocks.names[i], law.law(i, known))
        return known

    def latents(self, z: Tensor) -> dict[str, Tensor]:
        """Return the values of the latent sites at codes ``(*b, latent_dim)``."""
        return dict(zip(self.blocks.names, self.blocks.split(z), strict=True))

    def features(self, x: Tensor) -> list[Tensor]:
        """Return what the posteriors read of the data, ``(*b, features)`` each.

        That of z1 alone under a bottom-up guide, whose other layers read codes.
        """
        found = [self.encoder(x)]
        if self.layers.guide == "ladder":
            for net in self.up:
                found.append(net(found[-1]))
        return found

    def encode(self, x: Tensor) -> Joint:
        """Return q(z1 … zL|x): batch ``(*b,)``, event ``(latent_dim,)``."""
        batch = x.shape[: x.dim() - len(self.likelihood.event_shape)]
        return self.encoded(self.features(x), batch)

    def encoded(
        self, features: Sequence[Tensor], batch: tuple[int, ...], heads: Any = None
    ) -> Joint:
        """Return q(z1 … zL|x) of :meth:`features`.

        Parameters
        ----------
        features
            Of data of batch shape ``batch``.
        batch
            ``b``.
        heads
            What stands for the posteriors: from a layer's number and what it reads to a law.
        """
        law_of = heads or (lambda i, read: self.posteriors[i](read))
        top = len(self.blocks) - 1

        def ladder(i: int, known: Mapping[int, Tensor]) -> Distribution:
            if i == top:
                return law_of(i, features[i])
            shared, own = self._below(i).shared(known[i + 1]), features[i]
            full = torch.broadcast_shapes(shared.shape[:-1], own.shape[:-1])
            return law_of(i, torch.cat([own.expand(*full, -1), shared.expand(*full, -1)], -1))

        def bottom_up(i: int, known: Mapping[int, Tensor]) -> Distribution:
            return law_of(i, features[0] if i == 0 else self.up[i - 1](known[i - 1]))

        every = range(len(self.blocks))
        if self.layers.guide == "ladder":
            return Joint(self.blocks, tuple(reversed(every)), ladder, batch)
        return Joint(self.blocks, tuple(every), bottom_up, batch)

    def _top(self, x: Tensor) -> Distribution:
        """Return q(zL|x), which a prior may be made of."""
        family: Any = self.posteriors[-1]
        law: Distribution = family(self.features(x)[-1])
        return law

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        return self.likelihood(self._decoded(z))

    def _decoded(self, z: Tensor) -> Tensor:
        found: Tensor = self.decoder(z[..., : self.decoder_width])
        return found

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and :meth:`reconstruct` of the same codes, decoded once."""
        output = self._decoded(z)
        return self.likelihood(output), self.likelihood.mean(output)

    def prior_law(self) -> Joint:
        """Return p(z1 … zL) with global sites fixed: batch ``()``, event ``(latent_dim,)``."""
        return self._prior_law(self.prior.fitted())

    def _prior_law(self, top: Distribution) -> Joint:
        last = len(self.blocks) - 1

        def conditional(i: int, known: Mapping[int, Tensor]) -> Distribution:
            return top if i == last else self._below(i)(known[i + 1])

        return Joint(self.blocks, tuple(reversed(range(len(self.blocks)))), conditional)

    def heeds(self, block: int) -> bool:
        """Return whether the decoder itself reads a layer."""
        return block == 0 or self.layers.skip

    def regenerated(self, z: Tensor, block: int, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Return codes whose layers below one are generated anew from it.

        Parameters
        ----------
        z
            Codes ``(*b, latent_dim)``.
        block
            The layer; those above stay too.
        noise
            What the base law of each layer below is drawn as, ``(*b, size)`` each, z1 first; by
            default its mean: what is generated then is the middle of what could be.
        """
        parts = list(self.blocks.split(z))
        for i in reversed(range(block)):
            known = parts[i + 1]
            parts[i] = self._below(i).moved(known, None if noise is None else noise[i])
        return torch.cat(parts, -1) if block else z

    def noise_below(self, block: int, n: int) -> list[Tensor]:
        """Draw what :meth:`regenerated` takes for ``n`` codes, from the global generator."""
        return [self._below(i).base().sample((n,)) for i in range(block)]

    def base_laws(self) -> list[Distribution]:
        """Return the law of each layer before it is moved by the one above, z1 first."""
        return [*(self._below(i).base() for i in range(len(self.below))), self.prior.fitted()]

    def _below(self, block: int) -> Below:
        found = self.below[block]
        assert isinstance(found, Below)
        return found

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter belongs to q(z|x): encoder, networks upwards, posteriors."""
        return name.partition(".")[0] in ("encoder", "up", "posteriors")


def build_layered(
    event_shape: tuple[int, ...],
    layers: Layers,
    *,
    network: Mapping[str, Any] | Network,
    prior: Mapping[str, Any] | Prior,
    posterior: Mapping[str, Any],
    likelihood: Mapping[str, Any] | Likelihood,
    seed: int = 0,
    data: Tensor | None = None,
) -> LayeredVAE:
    """Build a layered VAE; parameters as for :func:`pyrovae.models.vae.build_vae`.

    Raises
    ------
    ConfigError
        As there, and for a family that has no place in a layer, with its reason.
    """
    sizes, ladder = layers.sizes, layers.guide == "ladder"
    act = layers.activation
    with seeded(seed):
        with placed("network"):
            net = made(NETWORKS, network)
        with placed("likelihood"):
            like = made(LIKELIHOODS, likelihood, event_shape)
        with placed("network"):
            encoder, features = net.encoder(event_shape)
            outputs, *shape = like.output_shape
            vectors = len(event_shape) == 1 or getattr(net, "reads_vectors", False)
            if len(shape) == 1 and not vectors:
                raise ConfigError(
                    "gives images, and the likelihood takes a vector from the decoder: networks "
                    "of vectors (mlp, gated_mlp) give one"
                )
            decoder = net.decoder(layers.total if layers.skip else sizes[0], tuple(shape), outputs)
        with placed("layers.priors"):
            bases = layers.priors or [{"name": "standard_normal"} for _ in sizes[:-1]]
            below = [
                Below(made(PRIORS, base, size), above, layers.hidden, act)
                for base, size, above in zip(bases, sizes[:-1], sizes[1:], strict=True)
            ]
        up: list[nn.Module] = []
        widths = [features]
        for size in sizes[:-1]:
            module, width = between(widths[-1] if ladder else size, layers.hidden, act)
            up.append(module)
            widths.append(width)
        reads = [
            width + (below[i].width if ladder and i < len(below) else 0)
            for i, width in enumerate(widths)
        ]
        families: list[Any] = layers.posteriors or [posterior for _ in sizes]
        with placed("posterior" if layers.posteriors is None else "layers.posteriors"):
            posteriors = [
                _fitting(made(POSTERIORS, family, width, size))
                for family, width, size in zip(families, reads, sizes, strict=True)
            ]
        with placed("prior"):
            top = made(PRIORS, prior, sizes[-1])
            _check_top(top, layers)
            vae = LayeredVAE(
                layers=layers,
                prior=top,
                below=below,
                decoder=decoder,
                likelihood=like,
                encoder=encoder,
                up=up,
                posteriors=posteriors,
                data=data,
            )
            _check_marginals(top)
    parts = {"network": network, "prior": prior, "posterior": posterior, "likelihood": likelihood}
    vae.configuration = {key: part for key, part in parts.items() if isinstance(part, Mapping)}
    return vae


def _name(registry: Any, part: Any) -> str:
    return f"{registry.kind} '{registry.name_of(type(part))}'"


def _fitting(family: Posterior) -> Posterior:
    """Return a posterior family that can be that of a layer.

    Raises
    ------
    ConfigError
        If it cannot: where the law above moves, directions of a code and marginals of a flow are
        not known.
    """
    who = _name(POSTERIORS, family)
    if family.needs_model:
        raise ConfigError(
            f"{who} climbs towards one code: it is not defined for a layer among others"
        )
    if family.space != "real":
        raise ConfigError(f"{who} lives on the {SPACES[family.space]}, and layers are real vectors")
    if "factorized" not in family.properties:
        raise ConfigError(
            f"{who} has dependent dimensions, whose directions are not known under a prior that "
            "the layer above moves: a layer's posterior has independent dimensions"
        )
    return family


def _check_top(prior: Prior, layers: Layers) -> None:
    who = _name(PRIORS, prior)
    if prior.space not in ("real", None):
        raise ConfigError(f"{who} lives on the {SPACES[prior.space]}, and layers are real vectors")
    if prior.needs_encoder and layers.guide != "ladder" and len(layers.sizes) > 1:
        raise ConfigError(
            f"{who} is made of the top layer's posterior, which reads a code and not x under a "
            "bottom-up guide: layers.guide: ladder has one"
        )


def _check_marginals(prior: Prior) -> None:
    try:
        marginals(prior.fitted())
    except NotImplementedError:
        raise ConfigError(
            f"{_name(PRIORS, prior)} has no known marginals, without which what a unit of the top "
            "layer says is not measured"
        ) from None
