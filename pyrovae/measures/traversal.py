"""Latent traversals and interpolations: codes that differ from a datum's, decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions.sphere_coordinates import unit as on_sphere
from pyrovae.models.contract import LatentModel

Over = Literal["prior", "posterior"]

#: Quantiles at which a traversal starts and ends.
ENDS = (0.05, 0.95)
#: Draws that quantiles are taken from.
_DRAWS = 10_000


@only_measures
def levels(vae: LatentModel, x: Data, *, steps: int, over: Over = "prior", seed: int = 0) -> Tensor:
    """Return the values that each unit goes through.

    Parameters
    ----------
    vae
        A trained model.
    x
        Observations ``(n, *event_shape)``: whose posteriors are drawn from. Of p(z|c), quantiles
        are those over the contexts of x.
    steps
        How many values, at equally spaced quantiles from :data:`ENDS`' first to its second.
    over
        Quantiles of the prior p(z_u), or of the aggregate posterior: draws of q(z_u|x) over the
        data. The second stays where the decoder has been trained, if the two do not match.
    seed
        Of the draws; the global random state is left as it was.

    Returns
    -------
    Tensor
        Rising, ``(steps, latent_dim)``; of a discrete unit its labels, all of them where there are
        as many steps.
    """
    with torch.no_grad(), seeded(seed, x.device):
        if over == "prior":
            law = vae.prior_law(**given(x))
            each = math.prod(law.batch_shape)
            draws = law.sample((-(-_DRAWS // each),)).reshape(-1, vae.latent_dim)
        else:
            law = vae.encode(observed(x), **given(x))
            draws = law.sample((-(-_DRAWS // len(x)),)).flatten(0, 1)
        values = draws.quantile(torch.linspace(*ENDS, steps, device=draws.device), dim=0)
        return values if vae.classes is None else _labels(values, vae.classes)


def _labels(values: Tensor, classes: Sequence[int]) -> Tensor:
    """Return values with those of discrete units replaced: their labels, from first to last."""
    found = values.clone()
    place = torch.linspace(0, 1, len(values), device=values.device)
    for unit, k in enumerate(classes):
        if k:
            found[:, unit] = (place * (k - 1)).round()
    return found


@only_measures
def traverse(
    vae: LatentModel,
    centre: Tensor,
    values: Tensor,
    units: Tensor,
    *,
    context: Tensor | None = None,
) -> Tensor:
    """Decode codes in which one unit at a time takes other values.

    Layers below the unit's follow it: they are generated from its layer, without noise.

    Parameters
    ----------
    vae
        A trained model.
    centre
        Codes ``(n, latent_dim)`` that the traversals go through. On a sphere they are scaled to
        unit length again after the change.
    values
        ``(steps, latent_dim)``, as from :func:`levels`.
    units
        Which units are changed, ``(k,)``.
    context
        What each of the ``n`` codes is decoded with, which stays as it is.

    Returns
    -------
    Tensor
        E[x|z], ``(n, k, steps, *event_shape)``, or what the model :attr:`shows
        <pyrovae.models.contract.LatentModel.shows>`; draws are all made of the same noise, so that
        what changes along a traversal is the code's doing.
    """
    codes = centre[:, None, None].repeat(1, len(units), len(values), 1)
    for row, unit in enumerate(units.tolist()):
        codes[:, row, :, unit] = values[:, unit]
        if vae.blocks is not None:
            codes[:, row] = vae.regenerated(codes[:, row], vae.blocks.of_units[unit])
    if vae.space == "sphere":
        codes = on_sphere(codes)
    told = {} if context is None else {"context": context[:, None, None]}
    return _alike(vae, codes, told)


@only_measures
def between(
    vae: LatentModel, a: Tensor, b: Tensor, *, steps: int, context: Tensor | None = None
) -> Tensor:
    """Decode what lies between codes.

    Parameters
    ----------
    vae
        A trained model.
    a, b
        Codes ``(n, latent_dim)``, joined by straight lines; on a sphere these are brought back to
        the surface. Discrete units change halfway.
    steps
        How many codes of each line, both ends among them.
    context
        What the codes of each line are decoded with, ``(n, k)``.

    Returns
    -------
    Tensor
        E[x|z], ``(n, steps, *event_shape)``; draws as for :func:`traverse`.
    """
    share = torch.linspace(0, 1, steps, device=a.device)[:, None]
    codes = (1 - share) * a[:, None] + share * b[:, None]
    if vae.classes is not None:
        labels = torch.tensor(vae.classes, device=a.device) > 0
        switched = torch.where(share < 0.5, a[:, None], b[:, None])
        codes = torch.where(labels, switched, codes)
    if vae.space == "sphere":
        codes = on_sphere(codes)
    told = {} if context is None else {"context": context[:, None]}
    return _alike(vae, codes, told)


def _alike(vae: LatentModel, codes: Tensor, told: dict[str, Tensor]) -> Tensor:
    """Return what codes are decoded to, draws by the same noise for all."""
    with torch.no_grad(), seeded(0, codes.device):
        if vae.shows != "draw":
            return vae.reconstruct(codes, **told)
        law: Any = vae.decode(codes, **told)
        u = torch.rand(law.event_shape, device=codes.device)
        found: Tensor = law.drawn(u.expand(*law.batch_shape, *law.event_shape))
        return found
