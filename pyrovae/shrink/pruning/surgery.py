"""Removing latent units: rows of the encoder's heads, columns of the decoder's first layer.

A smaller model is built from the configuration with fewer units and filled with what is left of the
tensors. That is exact wherever the family is closed under marginals: the posterior of the units
that stay is what it was, and the decoder sees the removed ones at their mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.collapse.sensitivity import first_layer
from pyrovae.models import posteriors, priors
from pyrovae.models.contract import LatentModel
from pyrovae.models.posteriors.mean_field import LocationScale
from pyrovae.models.priors.factorized import Factorized
from pyrovae.models.vae import VAE
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import vae_of

#: A tensor's dimensions: ``"u"`` for one that runs over the latent units, ``None`` for another.
Axes = tuple[str | None, ...]

_LOC_SCALE: dict[str, Axes] = {"loc": ("u",), "scale": ("u",)}
#: What of a family belongs to which unit. For a posterior by the name of a head, whose outputs are
#: laid out so; for a prior by the name of a tensor; tensors that are not named stay as they are.
#: Families that are missing are not closed under marginals: a flow mixes all dimensions, on a
#: sphere they share one length. A third party's family can be added.
LATENT_AXES: dict[type, dict[str, Axes]] = {
    LocationScale: _LOC_SCALE,
    posteriors.FixedScaleNormal: {"loc": ("u",)},
    posteriors.SemiAmortized: _LOC_SCALE,
    posteriors.RelaxedSpikeSlab: {**_LOC_SCALE, "gate": ("u",)},
    # Row and column u of the Cholesky factor: the law of the others given that unit u's noise is 0;
    # their marginal, if they do not depend on it.
    posteriors.FullRankNormal: {**_LOC_SCALE, "correlation": ("u", "u")},
    posteriors.LowRankNormal: {**_LOC_SCALE, "factor": ("u", None)},
    posteriors.GaussianMixture: {"loc": (None, "u"), "scale": (None, "u")},
    Factorized: {},
    priors.GaussianMixture: {"loc": (None, "u"), "raw_scale": (None, "u")},
    priors.Ard: {"precision.loc": ("u",), "precision.raw_scale": ("u",)},
    priors.Horseshoe: {"local_scale.loc": ("u",), "local_scale.raw_scale": ("u",)},
    priors.VampPrior: {},
}


#: Why a code with labels is not pruned.
NO_LABELS = (
    "codes of labels are not pruned: the table of units tells which of them are used, and which of "
    "their labels are dead"
)


class NothingLeft(PyrovaeError):
    """A model of which everything is inactive."""


def conflict(vae: LatentModel) -> str | None:
    """Return why units of a model cannot be removed, or ``None`` if they can."""
    if not isinstance(vae, VAE):
        return (
            f"{type(vae).__name__} is not made of this package's networks: which weights belong to "
            "a unit is not known"
        )
    for part in (vae.posterior, vae.prior):
        if _axes(part) is None:
            kind = "posterior" if part is vae.posterior else "prior"
            return (
                f"{kind} {type(part).__name__} is not known to be closed under marginals: "
                "without some of its dimensions it is another law"
            )
    layer = first_layer(vae)
    if layer is None:
        return "the decoder reads the code otherwise than by one dense layer, its first"
    if layer.bias is None:  # batch normalisation follows
        return "the decoder's first layer has no bias that could take in a unit's mean"
    return None


def prune_units(vae: VAE, config: RunConfig, keep: Tensor, means: Tensor) -> tuple[VAE, RunConfig]:
    """Return a model with the units ``keep`` only, and its configuration.

    Parameters
    ----------
    vae, config
        The trained model and what it was built from.
    keep
        Units that stay, in order, ``(k,)`` with k > 0.
    means
        Mean of each unit's code over the data, ``(latent_dim,)``: a removed unit's effect there is
        absorbed into the bias of the decoder's first layer.

    Raises
    ------
    PyrovaeError
        For a model of which :func:`conflict` tells; :class:`NothingLeft` if no unit would be left.
    """
    reason = conflict(vae)
    if reason:
        raise PyrovaeError(f"cannot prune: {reason}")
    if len(keep) < max(vae.prior.smallest_latent_dim, vae.posterior.smallest_latent_dim):
        raise NothingLeft("cannot prune: no unit stays, no code would be left")
    state = {}
    for name, tensor in vae.state_dict().items():
        part, _, inner = name.partition(".")
        if part == "posterior":
            head = inner.rpartition(".")[0]
            axes = (_axes(vae.posterior) or {}).get(head)
            tensor = tensor if axes is None else _rows(tensor, axes, keep, vae.latent_dim)
        elif part == "prior":
            axes = (_axes(vae.prior) or {}).get(inner)
            tensor = tensor if axes is None else _selected(tensor, axes, keep)
        state[name] = tensor
    state |= decoder_seeing(vae, unit_directions(keep, vae.latent_dim), means)
    smaller = config.model_copy(update={"latent_dim": len(keep)})
    pruned = vae_of(smaller, vae.likelihood.event_shape)
    pruned.load_state_dict(state)
    return pruned, smaller


def unit_directions(keep: Tensor, latent_dim: int) -> Tensor:
    """Return units as directions of the code: rows of the identity, ``(k, latent_dim)``."""
    return torch.eye(latent_dim)[keep]


def decoder_seeing(vae: VAE, directions: Tensor, means: Tensor) -> dict[str, Tensor]:
    """Return the decoder's first layer, by name, for codes along some directions only.

    Parameters
    ----------
    vae
        Whose decoder begins with a dense layer.
    directions
        Orthonormal rows, ``(k, latent_dim)``.
    means
        Of the codes, ``(latent_dim,)``: what the layer sees along all other directions.
    """
    layer = first_layer(vae)
    assert layer is not None
    name = next(name for name, module in vae.named_modules() if module is layer)
    weight = layer.weight.detach()
    rest = means - directions.T @ (directions @ means)
    return {
        f"{name}.weight": weight @ directions.T,
        f"{name}.bias": layer.bias.detach() + weight @ rest,
    }


def _axes(part: object) -> dict[str, Axes] | None:
    return next((LATENT_AXES[t] for t in type(part).__mro__ if t in LATENT_AXES), None)


def _rows(tensor: Tensor, axes: Axes, keep: Tensor, latent_dim: int) -> Tensor:
    """Select rows of a head's weight ``(outputs, features)`` or bias ``(outputs,)``."""
    sizes = [latent_dim if axis == "u" else -1 for axis in axes]
    laid_out = tensor.unflatten(0, sizes)
    return _selected(laid_out, axes, keep).flatten(0, len(axes) - 1)


def _selected(tensor: Tensor, axes: Axes, keep: Tensor) -> Tensor:
    for dim, axis in enumerate(axes):
        if axis == "u":
            tensor = tensor.index_select(dim, keep)
    return tensor
