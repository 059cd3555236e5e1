"""``pyrovae.wrap``: an encoder and a decoder that were trained anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.api.parts import part
from pyrovae.core.errors import ConfigError, IncompatibleError
from pyrovae.core.seeded import seeded
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood
from pyrovae.models.posteriors import Posterior
from pyrovae.models.priors import PRIORS, Prior
from pyrovae.models.wrapped import FixedPrior, Spread, Wrapped


def wrap(
    encode: Callable[[Tensor], Any],
    decode: Callable[[Tensor], Any],
    prior: Any = "standard_normal",
    *,
    latent_dim: int | None = None,
    event_shape: tuple[int, ...] | None = None,
    spread: Spread = "logvar",
    posterior: Posterior | None = None,
    likelihood: Any = None,
) -> Wrapped:
    """Make a model of any torch encoder and decoder, for measures, diagnoses and reports.

    Modules, and those whose methods are given, are copied: the originals keep their parameters,
    buffers and modes. They are run in evaluation mode.

    Parameters
    ----------
    encode
        Observations ``(n, *event_shape)`` to q(z|x): a distribution of codes ``(n, d)``, a pair
        of tensors ``(n, d)`` (mean and ``spread``), one tensor ``(n, 2 d)`` with both side by side,
        or features for ``posterior``.
    decode
        Codes ``(n, d)`` to p(x|z): a distribution of observations, or a tensor, which
        ``likelihood`` is made of: logits for ``bernoulli`` and ``continuous_bernoulli``, means for
        ``gaussian``. For a decoder that ends in a sigmoid, give
        ``lambda z: net.decode(z).logit(1e-6)``.
    prior
        A distribution of one code, or a part as :func:`pyrovae.build` takes it.
    latent_dim
        Dimension d of a code; not needed where the prior tells it.
    event_shape
        Shape of one observation; that of what ``decode`` gives, by default.
    spread
        What the second of the encoder's pair is: ``logvar`` (log of the variance), ``log_scale``
        (log of the standard deviation) or ``scale`` (the standard deviation).
    posterior
        A trained :class:`pyrovae.models.posteriors.Posterior` that reads the encoder's features.
    likelihood
        What reads the decoder's tensors, as :func:`pyrovae.build` takes it.

    Raises
    ------
    ConfigError
        If they do not go together, with the shapes.

    Examples
    --------
    >>> import pyrovae, torch
    >>> encoder, decoder = torch.nn.Linear(5, 4), torch.nn.Linear(2, 5)
    >>> vae = pyrovae.wrap(encoder, decoder, latent_dim=2, likelihood="bernoulli")
    >>> vae.encode(torch.zeros(3, 5)).mean.shape, vae.event_shape
    (torch.Size([3, 2]), (5,))
    """
    for place, function in (("encode", encode), ("decode", decode)):
        if not callable(function):
            kind = type(function).__name__
            raise ConfigError(f"must be a function or a module, got {kind}", place)
    if spread not in ("logvar", "log_scale", "scale"):
        raise ConfigError(f"must be logvar, log_scale or scale, got {spread!r}", "spread")
    if posterior is not None and not isinstance(posterior, Posterior):
        raise ConfigError(
            "must be a trained instance: a name would begin with new weights", "posterior"
        )
    made = _prior(prior, latent_dim)
    if latent_dim is not None and made.latent_dim != latent_dim:
        raise IncompatibleError(f"has latent_dim {made.latent_dim}, not {latent_dim}", "prior")
    shape = None if event_shape is None else tuple(event_shape)
    reads = None if likelihood is None else _likelihood(likelihood)
    return Wrapped(
        encode,
        decode,
        made,
        event_shape=shape,
        spread=spread,
        posterior=posterior,
        likelihood=reads,
    )


def _prior(given: Any, latent_dim: int | None) -> Prior:
    try:
        if isinstance(given, Distribution):
            return FixedPrior(given)
        taken = part(PRIORS, given, "")
        if isinstance(taken, Prior):
            return taken
        if latent_dim is None:
            raise ConfigError("is not told by the prior: give latent_dim", "latent_dim")
        name = taken.pop("name")
        with seeded(0):
            made: Prior = PRIORS.create(name, latent_dim, **taken)
    except ConfigError as error:
        raise error if error.place == "latent_dim" else error.at("prior") from None
    return made


def _likelihood(given: Any) -> Callable[[tuple[int, ...]], Likelihood]:
    taken = part(LIKELIHOODS, given, "likelihood")
    if isinstance(taken, Likelihood):
        return lambda shape: taken
    name = taken.pop("name")

    def make(shape: tuple[int, ...]) -> Likelihood:
        made: Likelihood = LIKELIHOODS.create(name, shape, **taken)
        return made

    return make
