"""Removing directions of a code instead of units, where no axis of the code is special.

Under N(0, I), with a full covariance in q(z|x) and a decoder that begins with a dense layer, a code
can be turned at will: the turned model has the same ELBO for every x. Which directions there are:
:mod:`pyrovae.measures.collapse.directions`. Those stay that are used, or whose information is above
the variance by which a unit would be active.

The turned means are linear in the features, as a head must be, and the decoder's first layer takes
the turn up: both are exact. The Cholesky factor of a turned covariance is not linear in them: its
heads are fitted anew by least squares, so that the ELBO after pruning is that of the fitted model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.core.measuring import only_measures
from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.collapse.directions import find_directions
from pyrovae.measures.collapse.sensitivity import first_layer
from pyrovae.measures.collapse.use import use_of
from pyrovae.models.posteriors import FullRankNormal
from pyrovae.models.posteriors.base import raw_scale
from pyrovae.models.priors import StandardNormal
from pyrovae.models.vae import VAE
from pyrovae.shrink.pruning.surgery import NothingLeft, decoder_seeing
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import vae_of

#: Covariance matrices at a time.
_CHUNK = 250
#: Data in which every direction is replaced.
_USE_POINTS = 256


def turnable(vae: VAE) -> bool:
    """Return whether the code of a model can be turned without a change of its ELBO."""
    return (
        type(vae.posterior) is FullRankNormal
        and type(vae.prior) is StandardNormal
        and first_layer(vae) is not None
    )


def active_directions(vae: VAE, x: Tensor) -> Tensor:
    """Return the directions of the code that say something of x, the most telling first.

    Parameters
    ----------
    vae
        With a posterior ``full_rank_normal``.
    x
        Observations ``(n, *event_shape)``, n > 1.

    Returns
    -------
    Tensor
        Orthonormal rows, ``(k, latent_dim)``, k >= 0.
    """
    found = find_directions(vae, x, points=len(x))
    return found.rows[found.information > ACTIVE_VARIANCE]


def used_directions(vae: VAE, x: Tensor, seed: int) -> Tensor:
    """Return the directions of the code that the decoder uses, the most telling first.

    Parameters
    ----------
    vae
        :func:`turnable`.
    x
        Observations ``(n, *event_shape)``, n > 1.
    seed
        Of the draws that directions are replaced by.

    Returns
    -------
    Tensor
        Orthonormal rows, ``(k, latent_dim)``, k >= 0.
    """
    found = find_directions(vae, x, seed=seed)
    return found.rows[use_of(vae, x, found, start=_USE_POINTS, most=len(x), seed=seed).used]


@only_measures
def prune_directions(
    vae: VAE, config: RunConfig, directions: Tensor, x: Tensor
) -> tuple[VAE, RunConfig]:
    """Return a model whose units are some directions of a model's code, and its configuration.

    Parameters
    ----------
    vae, config
        The trained model, :func:`turnable`, and what it was built from.
    directions
        Orthonormal rows, ``(k, latent_dim)``. Of the others the decoder sees the mean.
    x
        Observations ``(n, *event_shape)`` that the heads of the covariance are fitted on, n well
        above the width of the features.

    Raises
    ------
    NothingLeft
        If there is no direction.
    """
    if not len(directions):
        raise NothingLeft("cannot prune: no direction stays, no code would be left")
    posterior = vae.posterior
    assert isinstance(posterior, FullRankNormal)
    k = len(directions)
    below = torch.tril_indices(k, k, -1)
    features, means, raws, lowers = [], [], [], []
    with torch.no_grad():
        for part in x.split(_CHUNK):
            features.append(vae.encoder(part))
            q = posterior(features[-1])
            factor = torch.linalg.cholesky(directions @ q.covariance_matrix @ directions.T)
            means.append(q.mean)
            raws.append(raw_scale(factor.diagonal(dim1=1, dim2=2)))
            lowers.append(factor[:, below[0], below[1]])
        seen = torch.cat(features)
        lower = _fitted(seen, torch.cat(lowers))
        correlation = lower.new_zeros(k, k, lower.shape[1])
        correlation[below[0], below[1]] = lower
        loc = torch.cat([posterior.loc.weight, posterior.loc.bias.unsqueeze(1)], 1)
        rows = {
            "loc": directions @ loc,
            "scale": _fitted(seen, torch.cat(raws)),
            "correlation": correlation.flatten(0, 1),
        }
        state = {**vae.state_dict(), **decoder_seeing(vae, directions, torch.cat(means).mean(0))}
        for head, values in rows.items():
            state[f"posterior.{head}.weight"] = values[:, :-1]
            state[f"posterior.{head}.bias"] = values[:, -1]
    smaller = config.model_copy(update={"latent_dim": k})
    pruned = vae_of(smaller, vae.likelihood.event_shape)
    pruned.load_state_dict(state)
    return pruned, smaller


def _fitted(features: Tensor, values: Tensor) -> Tensor:
    """Return weights and bias of a linear head by least squares, ``(outputs, features + 1)``."""
    design = torch.cat([features, torch.ones_like(features[:, :1])], 1).double()
    # Dead features make the design singular: of all solutions the smallest.
    found = torch.linalg.lstsq(design, values.double(), driver="gelsd").solution
    return found.T.to(values.dtype)
