"""VAE = prior + decoder + likelihood (the model), encoder + posterior (the guide)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pyro
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.likelihoods import LIKELIHOODS, Likelihood
from pyrovae.networks import NETWORKS
from pyrovae.posteriors import POSTERIORS, Posterior
from pyrovae.priors import PRIORS, Prior

_instances = itertools.count()


class VAE(nn.Module):
    """A variational autoencoder whose :meth:`model` and :meth:`guide` are plain Pyro callables.

    They work as they are with :class:`pyro.infer.SVI`, :func:`pyro.poutine.trace`,
    :class:`pyro.infer.Predictive` and, for the model, :class:`pyro.infer.NUTS`. The latent site is
    ``"z"``, the observed one ``"x"``, the plate ``"data"``.

    Parameters
    ----------
    prior
        Pyro program for p(z).
    decoder
        ``(*b, latent_dim) -> (*b, outputs_per_element, *event_shape)``.
    likelihood
        The decoder's output to p(x|z).
    encoder
        ``(*b, *event_shape) -> (*b, features)``.
    posterior
        The encoder's features to q(z|x).
    """

    def __init__(
        self,
        *,
        prior: Prior,
        decoder: nn.Module,
        likelihood: Likelihood,
        encoder: nn.Module,
        posterior: Posterior,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.decoder = decoder
        self.likelihood = likelihood
        self.encoder = encoder
        self.posterior = posterior
        # Pyro's parameter store is global and keyed by name: two models of one name in a process
        # would silently share parameters.
        self._site = f"vae{next(_instances)}"

    @property
    def latent_dim(self) -> int:
        """Dimension of the code."""
        return self.prior.latent_dim

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model p(z) p(x|z).

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``; ``None`` to generate.
        n
            How many to generate when ``x`` is ``None``.

        Returns
        -------
        Tensor
            The observations, ``(n, *event_shape)``.
        """
        pyro.module(f"{self._site}.prior", self.prior)
        pyro.module(f"{self._site}.decoder", self.decoder)
        pyro.module(f"{self._site}.likelihood", self.likelihood)
        prior = self.prior()
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            z = pyro.sample("z", prior)
            return pyro.sample("x", self.likelihood(self.decoder(z)), obs=x)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """Variational posterior q(z|x).

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``.
        n
            Unused: a guide takes what its model takes.

        Returns
        -------
        Tensor
            A code for each observation, ``(n, latent_dim)``.
        """
        pyro.module(f"{self._site}.encoder", self.encoder)
        pyro.module(f"{self._site}.posterior", self.posterior)
        q = self.posterior(self.encoder(x))
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", q)

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x): batch ``(*b,)``, event ``(latent_dim,)``."""
        return self.posterior(self.encoder(x))

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        return self.likelihood(self.decoder(z))

    def reconstruct(self, z: Tensor) -> Tensor:
        """Return E[x|z], ``(*b, *event_shape)``."""
        return self.likelihood.mean(self.decoder(z))


def build_vae(
    event_shape: tuple[int, ...],
    latent_dim: int,
    *,
    network: Mapping[str, Any],
    prior: Mapping[str, Any],
    posterior: Mapping[str, Any],
    likelihood: Mapping[str, Any],
    seed: int = 0,
) -> VAE:
    """Build a VAE from registry names, each ``{"name": …, **parameters}``.

    Initial weights depend on ``seed`` alone: the global random state is neither read nor changed.

    Raises
    ------
    ConfigError
        For an unknown name or a parameter that its entry refuses.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = NETWORKS.create(**network)
        like = LIKELIHOODS.create(likelihood["name"], event_shape, **_rest(likelihood))
        encoder, features = net.encoder(event_shape)
        return VAE(
            prior=PRIORS.create(prior["name"], latent_dim, **_rest(prior)),
            decoder=net.decoder(latent_dim, event_shape, like.outputs_per_element),
            likelihood=like,
            encoder=encoder,
            posterior=POSTERIORS.create(
                posterior["name"], features, latent_dim, **_rest(posterior)
            ),
        )


def _rest(component: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in component.items() if key != "name"}
