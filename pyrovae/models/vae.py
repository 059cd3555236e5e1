"""VAE = prior + decoder + likelihood (the model), encoder + posterior (the guide)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyro
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data
from pyrovae.core.registry import Registry
from pyrovae.core.seeded import seeded
from pyrovae.models.condition import Condition, PriorMap, beside, joined, joined_shape
from pyrovae.models.contract import LatentModel
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood
from pyrovae.models.networks import NETWORKS, Network
from pyrovae.models.posteriors import POSTERIORS, Posterior
from pyrovae.models.posteriors.mixed import check_closed
from pyrovae.models.priors import PRIORS, Prior
from pyrovae.models.sites import Terms

_instances = itertools.count()


class VAE(LatentModel):
    """A variational autoencoder whose :meth:`model` and :meth:`guide` are plain Pyro callables.

    They work as they are with :class:`pyro.infer.SVI`, :func:`pyro.poutine.trace`,
    :class:`pyro.infer.Predictive` and, for the model, :class:`pyro.infer.NUTS` and Pyro's
    autoguides. The latent site is
    ``"z"``, the observed one ``"x"``, the plate ``"data"``. A hierarchical prior has sites of its
    own, outside the plate: the data that they are shared by are those that the model is called
    with. In minibatches of N data, their KL has to count 1/N for each datum, as it does in
    :class:`pyrovae.training.LossProgram`.

    Parameters
    ----------
    prior
        Pyro program for p(z).
    decoder
        ``(*b, latent_dim) -> (*b, *likelihood.output_shape)``.
    likelihood
        The decoder's output to p(x|z).
    encoder
        ``(*b, *event_shape) -> (*b, features)``.
    posterior
        The encoder's features to q(z|x).
    data
        Observations ``(n, *event_shape)`` that a prior may take its start from.
    condition
        What is given a context; without one, no program takes any.
    planes
        Whether the encoder reads a context as channels of an image, else as more elements of a
        vector (:func:`pyrovae.models.condition.beside`).
    """

    def __init__(
        self,
        *,
        prior: Prior,
        decoder: nn.Module,
        likelihood: Likelihood,
        encoder: nn.Module,
        posterior: Posterior,
        data: Tensor | None = None,
        condition: Condition | None = None,
        planes: bool = False,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood
        self.encoder = encoder
        self.posterior = posterior
        self.latent_dim = prior.latent_dim
        self.event_shape = likelihood.event_shape
        self.space = posterior.space
        self.classes = posterior.unit_classes
        self.draws = posterior.draws
        if prior.unit_classes != posterior.unit_classes:
            raise ConfigError(
                f"has units of {_labels(prior)} labels, and the posterior of {_labels(posterior)}",
                "classes",
            )
        self.condition, self._planes = condition, planes
        if condition is not None and condition.prior:
            self.prior_map = PriorMap(condition.size, prior.latent_dim)
        if self.space == "mixed":
            check_closed(prior, posterior)
        #: Names and parameters of the parts, as far as they were built from them.
        self.configuration: dict[str, Mapping[str, Any]] = {}
        # Pyro's parameter store is global and keyed by name: two models of one name in a process
        # would silently share parameters.
        self._site = f"vae{next(_instances)}"
        # A VampPrior is made of the encoder, a semi-amortised posterior of the model. Pyro trains
        # what either program announces, which may be alone: with a guide of one's own.
        model: tuple[str, ...] = ("prior", "decoder", "likelihood")
        model += ("prior_map",) if condition is not None and condition.prior else ()
        guide = ("encoder", "posterior")
        self._model_parts = (*model, *(guide if prior.needs_encoder else ()))
        self._guide_parts = (*guide, *(model if posterior.needs_model else ()))
        prior.bind(self.encode, likelihood.event_shape, data)

    @property
    def encoder_shape(self) -> tuple[int, ...]:
        """Shape of what the encoder reads for one datum."""
        if self.condition is None or not self.condition.encoder:
            return self.likelihood.event_shape
        shape, k = self.likelihood.event_shape, self.condition.size
        return joined_shape(shape, k, planes=self._planes)

    @property
    def decoder_width(self) -> int:
        """Numbers that the decoder reads for one datum: its code, and its context."""
        given = self.condition is not None and self.condition.decoder
        return sum(self.widths) + (self.condition.size if given and self.condition else 0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers that the decoder reads of each unit: of a label, one for each class."""
        return self.posterior.widths

    def model(
        self, x: Tensor | None = None, n: int | Tensor = 1, context: Tensor | None = None
    ) -> Tensor:
        """Generative model p(z) p(x|z), or p(z|c) p(x|z, c).

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``; ``None`` to generate.
        n
            How many to generate when ``x`` is ``None`` and there is no context. A tensor here is
            the context: ``model(x, context)``.
        context
            Of each datum, ``(n, k)``, for a conditional model.

        Returns
        -------
        Tensor
            The observations, ``(n, *event_shape)``.
        """
        announce(self, self._site, self._model_parts)
        return self._generate(self.prior(), x, n, context, trained=True)

    def datum_model(
        self, x: Tensor | None = None, n: int | Tensor = 1, context: Tensor | None = None
    ) -> Tensor:
        """:meth:`model` with the prior's global sites at their medians."""
        announce(self, self._site, self._model_parts)
        return self._generate(self.prior.fitted(), x, n, context, trained=False)

    def _generate(
        self,
        prior: Distribution,
        x: Tensor | None,
        n: int | Tensor,
        context: Tensor | None,
        *,
        trained: bool,
    ) -> Tensor:
        if isinstance(n, Tensor):
            context = n
            n = len(context)
        elif context is not None:
            n = len(context)
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            law = self._moved(prior, context)
            z = pyro.sample("z", self.posterior.in_training(law) if trained else law)
            if trained and x is not None:
                self.prior.learn_from(z)
            numbers = self.posterior.heard(z) if trained else self.posterior.read(z)
            return pyro.sample("x", self.likelihood(self._decoded(numbers, context)), obs=x)

    def training_terms(self, x: Data, *, samples: int, data_size: int) -> Terms:
        """Return what both programs say of a minibatch, with the gradients of the posterior."""
        found = self.drawn_terms(x, samples=max(samples, self.draws), data_size=data_size)
        return self.posterior.with_gradients(found)

    def guide(self, x: Tensor, n: int | Tensor = 1, context: Tensor | None = None) -> Tensor:
        """Variational posterior: the prior's global sites, and q(z|x).

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``.
        n
            Unused but for a context: a guide takes what its model takes.
        context
            Of each datum, ``(n, k)``, for a conditional model.

        Returns
        -------
        Tensor
            A code for each observation, ``(n, latent_dim)``.
        """
        self.prior.guide()
        return self._infer(x, n, context, trained=True)

    def datum_guide(self, x: Tensor, n: int | Tensor = 1, context: Tensor | None = None) -> Tensor:
        """q(z|x) alone, or q(z|x, c)."""
        return self._infer(x, n, context, trained=False)

    def _infer(
        self, x: Tensor, n: int | Tensor, context: Tensor | None, *, trained: bool
    ) -> Tensor:
        announce(self, self._site, self._guide_parts)
        with pyro.plate("data", len(x), dim=-1):
            law = self.encode(x, n if isinstance(n, Tensor) else context)
            return pyro.sample("z", self.posterior.in_training(law) if trained else law)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """Return q(z|x), or q(z|x, c): batch ``(*b,)``, event ``(latent_dim,)``."""
        features = self.features(x, context)
        if self.posterior.needs_model:
            return self.posterior(features, partial(self._log_joint, x, context))
        return self.posterior(features)

    def features(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what the encoder makes of data, which the posterior takes: ``(*b, features)``."""
        if self.condition is not None and self.condition.encoder:
            context = self.condition.require(context, "encoder")
            dims = len(self.likelihood.event_shape)
            x = beside(x, context, dims, planes=self._planes)
        return self.encoder(x)

    def _log_joint(self, x: Tensor, context: Tensor | None, z: Tensor) -> Tensor:
        return self.prior_law(context).log_prob(z) + self.decode(z, context).log_prob(x)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        """Return p(x|z), or p(x|z, c): batch ``(*b,)``, event ``event_shape``.

        A context broadcasts to ``b``.
        """
        return self.likelihood(self._decoded(self.posterior.read(z), context))

    def _decoded(self, z: Tensor, context: Tensor | None) -> Tensor:
        if self.condition is not None and self.condition.decoder:
            z = joined(z, self.condition.require(context, "decoder"))
        return self.decoder(z)

    def prior_law(self, context: Tensor | None = None) -> Distribution:
        """Return p(z), global sites at their medians: batch ``()``, event ``(latent_dim,)``.

        Of p(z|c) the batch is that of the contexts, ``(*b, k)``.
        """
        return self._moved(self.prior.fitted(), context)

    def _moved(self, prior: Distribution, context: Tensor | None) -> Distribution:
        if self.condition is None or not self.condition.prior:
            return prior
        return self.prior_map(prior, self.condition.require(context, "prior"))

    def reconstruct(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E[x|z], or E[x|z, c], ``(*b, *event_shape)``, or what :attr:`shows` says."""
        return self.decode_with_mean(z, context)[1]

    def decode_with_mean(
        self, z: Tensor, context: Tensor | None = None
    ) -> tuple[Distribution, Tensor]:
        """Return p(x|z) and what the likelihood shows of it, of the same codes, decoded once."""
        output = self._decoded(self.posterior.read(z), context)
        return self.likelihood(output), self.likelihood.mean(output)

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter belongs to the encoder or the posterior's heads."""
        return name.startswith(("encoder.", "posterior."))


def build_vae(
    event_shape: tuple[int, ...],
    latent_dim: int,
    *,
    network: Mapping[str, Any] | Network,
    prior: Mapping[str, Any] | Prior,
    posterior: Mapping[str, Any] | Posterior,
    likelihood: Mapping[str, Any] | Likelihood,
    seed: int = 0,
    data: Tensor | None = None,
    condition: Condition | None = None,
) -> VAE:
    """Build a VAE from registry names, each ``{"name": …, **parameters}``, or parts as they are.

    Initial weights depend on ``seed`` and ``data`` alone: the global random state is neither read
    nor changed.

    Parameters
    ----------
    event_shape, latent_dim
        Shape of one observation, and dimension of its code.
    network, prior, posterior, likelihood
        The parts.
    seed
        Of the initial weights.
    data
        Training data ``(n, *event_shape)``, as floats: what pseudo-inputs start from. A model whose
        parameters are loaded afterwards does without.
    condition
        What is given a context; dense networks read it behind the elements of an observation,
        others as further channels of an image.

    Raises
    ------
    ConfigError
        For an unknown name or a parameter that its entry refuses; its ``place`` starts with the
        part's name.
    """
    with seeded(seed):
        with placed("network"):
            net = made(NETWORKS, network)
        with placed("likelihood"):
            like = made(LIKELIHOODS, likelihood, event_shape)
        with placed("network"):
            planes = len(event_shape) > 1 and not getattr(net, "reads_vectors", False)
            at_encoder = condition.size if condition and condition.encoder else 0
            at_decoder = condition.size if condition and condition.decoder else 0
            if at_encoder and getattr(net, "reads_tokens", False):
                raise ConfigError(
                    "reads tokens alone: condition.encoder: false leaves the encoder without the "
                    "condition"
                )
            read = joined_shape(event_shape, at_encoder, planes=planes)
            encoder, features = net.encoder(read if at_encoder else event_shape)
            outputs, *decoded = like.output_shape
            if len(decoded) == 1 and planes:
                raise ConfigError(
                    "gives images, and the likelihood takes a vector from the decoder: networks "
                    "of vectors (mlp, gated_mlp) give one"
                )
        with placed("posterior"):
            reads = _code_width(posterior, latent_dim)
        with placed("network"):
            decoder = net.decoder(reads + at_decoder, tuple(decoded), outputs)
        with placed("posterior"):
            q = made(POSTERIORS, posterior, features, latent_dim)
        with placed("prior"):
            p = made(PRIORS, prior, latent_dim)
            vae = VAE(
                prior=p,
                decoder=decoder,
                likelihood=like,
                encoder=encoder,
                posterior=q,
                data=data,
                condition=condition,
                planes=planes,
            )
    parts = {"network": network, "prior": prior, "posterior": posterior, "likelihood": likelihood}
    vae.configuration = {key: part for key, part in parts.items() if isinstance(part, Mapping)}
    return vae


def _labels(family: Prior | Posterior) -> str:
    """Return how many labels the units of a family have, those that are alike once."""
    known = dict.fromkeys(family.unit_classes or (0,))
    return " and ".join(str(k) for k in known)


def _code_width(posterior: Mapping[str, Any] | Posterior, latent_dim: int) -> int:
    """Return how many numbers the decoder reads of a code."""
    if isinstance(posterior, Posterior):
        return sum(posterior.widths)
    given = {key: value for key, value in posterior.items() if key != "name"}
    entry = POSTERIORS[posterior["name"]]
    return entry.code_width(latent_dim, POSTERIORS.resolve(posterior["name"], given))


def announce(model: nn.Module, site: str, parts: Sequence[str]) -> None:
    """Tell Pyro which parameters of a model's parts there are to train; a frozen part has none."""
    for part in parts:
        module = getattr(model, part)
        if any(p.requires_grad for p in module.parameters()):
            pyro.module(f"{site}.{part}", module)


def made(registry: Registry, part: Any, *context: Any) -> Any:
    """Return a part that is as it is, or made of its name, parameters and context."""
    if not isinstance(part, Mapping):
        return part
    parameters = {key: value for key, value in part.items() if key != "name"}
    return registry.create(part["name"], *context, **parameters)


@contextmanager
def placed(part: str) -> Iterator[None]:
    """Put the part's name in front of an error's place; ``latent_dim`` belongs to no part."""
    try:
        yield
    except ConfigError as error:
        raise error if error.place == "latent_dim" else error.at(part) from None
