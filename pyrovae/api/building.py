"""``pyrovae.build``: a VAE from its parts, checked as a study's plan checks them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pyrovae.api.conditions import condition_of
from pyrovae.api.observations import observations
from pyrovae.api.parts import part
from pyrovae.core.errors import ConfigError, IncompatibleError
from pyrovae.models.layered import LayeredVAE, Layers, build_layered
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.networks import NETWORKS
from pyrovae.models.posteriors import POSTERIORS, Posterior
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import VAE, build_vae
from pyrovae.study.config.resolve import resolve_layers
from pyrovae.study.plan.compatibility import condition_conflict, latent_conflict
from pyrovae.study.plan.planning import START_POINTS


def build(
    event_shape: tuple[int, ...] | int,
    *,
    latent_dim: int | None = None,
    layers: Any = None,
    network: Any = "mlp",
    prior: Any = "standard_normal",
    posterior: Any = "mean_field_normal",
    likelihood: Any = "bernoulli",
    seed: int = 0,
    data: Any = None,
    condition: Any = None,
) -> VAE | LayeredVAE:
    """Build an untrained VAE, the one that a study's run of these parts and seed starts from.

    Each part is a name (``"student_t"``; ``pyrovae list priors`` tells them), a mapping of a name
    and parameters (``{"name": "student_t", "df": 4}``), a class of one's own (``MyPrior``, or
    ``{"name": MyPrior, "scale": 2}``), its dotted path (``"my_priors:MyPrior"``), or an instance,
    which becomes part of the model as it is.

    Parameters
    ----------
    event_shape
        Shape of one observation: ``(channels, height, width)``, ``(d,)`` or d.
    latent_dim
        Dimension of its code.
    layers
        Instead of it, sizes of layers of codes, z1 first (``[32, 16, 8]``), or a mapping with
        ``sizes``, ``guide``, ``skip`` and so on (:class:`pyrovae.models.layered.Layers`).
    network, prior, posterior, likelihood
        The parts.
    seed
        Of the initial weights; the global random state is neither read nor changed.
    data
        Observations that a prior may take its start from (the pseudo-inputs of ``vampprior``), as
        :func:`pyrovae.fit` takes them.
    condition
        What the model's programs are given (see :func:`pyrovae.api.conditions.condition_of`): a
        mapping with ``labels`` of the training data (``(n,)``, columns by name, a table, or a
        :class:`pyrovae.datasets.Dataset`), ``on`` (the columns that are taken; all by default),
        ``encoder``, ``decoder`` and ``prior``; or a number k, of contexts ``(n, k)`` that are
        numbers already.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, and for parts that do not fit, with the part's name.

    Examples
    --------
    >>> import pyrovae
    >>> vae = pyrovae.build((1, 28, 28), latent_dim=16, prior="student_t")
    >>> vae.prior_law().event_shape
    torch.Size([16])
    >>> deep = pyrovae.build((1, 28, 28), layers=[16, 8])
    >>> deep.blocks.names, deep.prior_law().event_shape
    (('z1', 'z2'), torch.Size([24]))
    """
    shape = _event_shape(event_shape)
    asked = _layers(layers, latent_dim, condition)
    if asked is None:
        _whole("latent_dim", latent_dim, 1)
    _whole("seed", seed, 0)
    parts = {
        place: part(registry, value, place)
        for place, registry, value in (
            ("network", NETWORKS, network),
            ("prior", PRIORS, prior),
            ("posterior", POSTERIORS, posterior),
            ("likelihood", LIKELIHOODS, likelihood),
        )
    }
    if asked is None:
        _check_shapes(parts, shape, latent_dim)
    elif not all(isinstance(parts[place], Mapping) for place in ("prior", "posterior")):
        raise IncompatibleError("is an instance: layers are built from names", "layers")
    conflict = latent_conflict(_name(PRIORS, parts["prior"]), _name(POSTERIORS, parts["posterior"]))
    if conflict:
        raise IncompatibleError(conflict, "posterior")
    given = condition_of(condition)
    refused = condition_conflict(
        given, prior=_name(PRIORS, parts["prior"]), posterior=_name(POSTERIORS, parts["posterior"])
    )
    if refused:
        raise IncompatibleError(refused[1], refused[0])
    start = None if data is None else observations(data, shape, "data")[:START_POINTS]
    if isinstance(parts["prior"], Mapping) and start is not None:
        conflict = PRIORS[parts["prior"]["name"]].data_conflict(parts["prior"], len(start))
        if conflict:
            raise IncompatibleError(conflict, "prior")
    with torch.random.fork_rng(devices=[]):  # a user's part may seed what it likes
        values = None if start is None else start.float() / 255 if _grey(start) else start
        vae: VAE | LayeredVAE = (
            build_vae(shape, latent_dim or 0, **parts, seed=seed, data=values, condition=given)
            if asked is None
            else build_layered(shape, asked, **parts, seed=seed, data=values)
        )
    _try_shapes(vae)
    return vae


def _grey(values: torch.Tensor) -> bool:
    return values.dtype == torch.uint8


def _event_shape(given: Any) -> tuple[int, ...]:
    shape = (given,) if isinstance(given, int) else given
    if not isinstance(shape, tuple | list | torch.Size) or not shape:
        raise ConfigError(f"must be the shape of one observation, got {given!r}", "event_shape")
    for size in shape:
        _whole("event_shape", size, 1)
    return tuple(shape)


def _whole(place: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise ConfigError(f"must be a whole number of at least {least}, got {value!r}", place)


def _name(registry: Any, given: Any) -> str:
    name: str = given["name"] if isinstance(given, Mapping) else registry.name_of(type(given))
    return name


def _layers(given: Any, latent_dim: int | None, condition: Any) -> Layers | None:
    if given is None:
        if latent_dim is None:
            raise ConfigError("is missing: give latent_dim, or layers", "latent_dim")
        return None
    content = dict(given) if isinstance(given, Mapping) else {"sizes": given}
    if isinstance(content.get("sizes"), tuple):
        content["sizes"] = list(content["sizes"])
    whole = {"layers": content, "condition": condition, "latent_dim": latent_dim}
    found = resolve_layers(whole, lambda place: place)
    if latent_dim not in (None, found.total):
        raise ConfigError(f"is the units of all layers, {found.total} here", "latent_dim")
    return found


def _check_shapes(parts: Mapping[str, Any], shape: tuple[int, ...], latent_dim: Any) -> None:
    """Refuse an instance that was made for other shapes."""
    for place, attribute, wanted in (
        ("prior", "latent_dim", latent_dim),
        ("posterior", "latent_dim", latent_dim),
        ("likelihood", "event_shape", shape),
    ):
        found = getattr(parts[place], attribute, wanted)
        if found != wanted:
            raise IncompatibleError(
                f"is an instance with {attribute} {found}, and the model's is {wanted}", place
            )


def _try_shapes(vae: VAE | LayeredVAE) -> None:
    """Run networks of the user's own on shapes without numbers, and say which do not fit."""
    outputs = vae.likelihood.output_shape
    for place, module, given, wanted in (
        ("network's encoder", vae.encoder, vae.encoder_shape, None),
        ("network's decoder", vae.decoder, (vae.decoder_width,), outputs),
    ):
        found = _output_shape(module, given, place)
        if wanted is not None and found != wanted:
            raise IncompatibleError(
                f"gives {found} for one code, and the likelihood reads {wanted}", place
            )
        if wanted is None and isinstance(vae, VAE) and isinstance(vae.posterior, Posterior):
            features = (vae.posterior.features,)
            if found != features:
                raise IncompatibleError(
                    f"gives {found} for one observation, and the posterior reads {features}", place
                )


def _output_shape(module: nn.Module, given: tuple[int, ...], place: str) -> tuple[int, ...]:
    copied = copy.deepcopy(module).to("meta")
    try:
        with torch.no_grad():
            return tuple(copied(torch.empty(2, *given, device="meta")).shape[1:])
    except Exception as failure:
        told = str(failure).strip().splitlines()
        reason = told[0] if told else type(failure).__name__
        raise IncompatibleError(f"fails on shape {given}: {reason}", place) from failure
