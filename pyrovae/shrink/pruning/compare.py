"""A model and its pruned form on the same data with the same noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal

from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl
from pyrovae.distributions.joint import Joint
from pyrovae.measures.collapse.interventions import decoded
from pyrovae.measures.collapse.moments import moments
from pyrovae.models.contract import LatentModel

_CHUNK = 1000
#: So many standard errors are called resolved.
RESOLVED = 2.0


@dataclass(frozen=True)
class Comparison:
    """ELBO in nats per datum before and after pruning.

    Attributes
    ----------
    before, after
        Mean ELBO.
    before_se, after_se
        Monte Carlo standard errors: of finitely many draws for these very data.
    change, change_se
        ``after - before`` with the same noise, and its Monte Carlo standard error.
    rate_change, distortion_change, distortion_change_se
        The halves of ``-change``: what the removed units cost, and what they were good for. The
        first is exact where KL(q(z|x) || p(z)) has a closed form.
    noise_change, noise_change_se
        The part of ``distortion_change`` that the removed units' noise is answerable for: the
        distortion with them at E[z_u|x], less that with draws. Below 0 if the noise did harm.
    information_change, information_change_se
        The other part: the pruned model's distortion, less that with the removed units at
        E[z_u|x]. What they said of x is gone (above 0 if it was of use), and what the pruned model
        absorbed of them has come.
    data_se, change_data_se
        Standard errors of ``before`` and ``change`` over data and draws: the data as a sample of
        all data. That of ``before`` is what a table of results prints.
    reconstruction_change
        Root mean squared change of E[x|z] with the same noise, per element of an observation.
    """

    before: float
    after: float
    before_se: float
    after_se: float
    change: float
    change_se: float
    rate_change: float
    distortion_change: float
    distortion_change_se: float
    noise_change: float
    noise_change_se: float
    information_change: float
    information_change_se: float
    data_se: float
    change_data_se: float
    reconstruction_change: float


@only_measures
def compare(
    vae: LatentModel,
    pruned: LatentModel,
    directions: Tensor,
    x: Tensor,
    *,
    samples: int,
    seed: int = 0,
) -> Comparison:
    """Estimate the ELBO of a model and of its pruned form.

    Parameters
    ----------
    vae, pruned
        The model, and what is left of it.
    directions
        Of the code, that the units of ``pruned`` stand for: orthonormal rows
        ``(k, latent_dim)``, of the identity for units that stayed.
    x
        Observations ``(n, *event_shape)``.
    samples
        Draws for each datum, at least 2.
    seed
        Of the draws; the global random state is left as it was.
    """
    with torch.no_grad(), seeded(seed, x.device):
        parts = [_moments(vae, pruned, directions, part, samples) for part in x.split(_CHUNK)]
    sums, squares, moved = zip(*parts, strict=True)
    mean, error = torch.cat(sums, 1).double(), torch.cat(squares, 1).double()
    n = mean.shape[1]
    standard = (error.clamp(min=0).sum(1).sqrt() / n).tolist()
    elbo, elbo_after, change, rate, distortion, noise, information = mean.mean(1).tolist()
    return Comparison(
        before=elbo,
        after=elbo_after,
        before_se=standard[0],
        after_se=standard[1],
        change=change,
        change_se=standard[2],
        rate_change=rate,
        distortion_change=distortion,
        distortion_change_se=standard[4],
        noise_change=noise,
        noise_change_se=standard[5],
        information_change=information,
        information_change_se=standard[6],
        data_se=float(mean[0].std()) / n**0.5,
        change_data_se=float(mean[2].std()) / n**0.5,
        reconstruction_change=float(torch.cat(moved).mean().sqrt()),
    )


def _moments(
    vae: LatentModel, pruned: LatentModel, directions: Tensor, x: Tensor, samples: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what draws say of each datum.

    Returns
    -------
    mean, error
        Over draws, and its squared Monte Carlo error, ``(7, n)``: ELBO before and after, its
        change, that of rate and distortion, and the parts of the latter by noise and information.
    moved
        Mean squared change of E[x|z] at the last draw, ``(n,)``.
    """
    kept = directions.T @ directions
    p, p_pruned = vae.prior_law(), pruned.prior_law()
    q, q_pruned = vae.encode(x), pruned.encode(x)
    same_noise = _coupling(q, q_pruned, directions)
    silent = moments(q).mean
    silent = silent - silent @ kept
    total, square = torch.zeros(7, len(x)), torch.zeros(7, len(x))
    centre: Tensor | None = None
    for _ in range(samples):
        z = q.sample()
        z_pruned = same_noise(z)
        before = _halves(vae, q, p, z, x)
        after = _halves(pruned, q_pruned, p_pruned, z_pruned, x)
        quiet = -vae.decode(z @ kept + silent).log_prob(x)
        rate, distortion = after - before
        values = torch.stack(
            [
                -before.sum(0),
                -after.sum(0),
                -(rate + distortion),
                rate,
                distortion,
                quiet - before[1],
                after[1] - quiet,
            ]
        )
        # Variances are taken about the first draw: sums of squares of large numbers that are close
        # together lose their digits.
        centre = values if centre is None else centre
        total += values - centre
        square += (values - centre) ** 2
    assert centre is not None
    mean = total / samples
    last = _expected(vae, z, x) - _expected(pruned, z_pruned, x)
    error = (square / samples - mean**2) / (samples - 1)
    return centre + mean, error, last.square().flatten(1).mean(1)


def _expected(vae: LatentModel, z: Tensor, x: Tensor) -> Tensor:
    """Return E[x|z], or where there is no mean that of each element given those before it."""
    return decoded(vae, z, x)[0] if vae.shows == "draw" else vae.reconstruct(z)


def _halves(vae: LatentModel, q: Distribution, p: Distribution, z: Tensor, x: Tensor) -> Tensor:
    """Return rate and distortion at a draw, ``(2, n)``."""
    rate = analytic_kl(q, p)
    if rate is None:
        rate = q.log_prob(z) - p.log_prob(z)
    return torch.stack([rate, -vae.decode(z).log_prob(x)])


def _coupling(q: Any, q_pruned: Any, directions: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the map from a draw of ``q`` to the draw of ``q_pruned`` made of the same noise.

    Where ``q_pruned`` is the law of ``q`` along the directions, that is the draw along them.
    """
    if isinstance(q, Joint):
        return lambda z: q_pruned.sample()  # lower layers are other laws: no noise is shared
    if isinstance(q, MultivariateNormal):
        factor = torch.linalg.cholesky(directions @ q.covariance_matrix @ directions.T)
        # z' = loc' + L' L^-1 A (z - loc), with one matrix for all draws.
        gain = torch.linalg.solve_triangular(factor, q_pruned.scale_tril, upper=False, left=False)
        return lambda z: q_pruned.loc + (gain @ ((z - q.loc) @ directions.T)[..., None])[..., 0]
    if isinstance(q, Independent) and hasattr(q.base_dist, "scale"):
        law, law_pruned = q.base_dist, q_pruned.base_dist
        return lambda z: (
            law_pruned.loc + law_pruned.scale * (((z - law.loc) / law.scale) @ directions.T)
        )
    return lambda z: z @ directions.T  # the family is closed under marginals
