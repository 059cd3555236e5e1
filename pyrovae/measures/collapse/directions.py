"""The directions of a code that its units are, or that have to be found.

Where q(z|x) has independent coordinates, a unit is what the encoder can say or leave unsaid. With
dependent coordinates (a full or low-rank covariance, a flow) no axis need be special: training has
no reason to make what carries information coincide with units, so all units may look active. What
idles is then a direction. In coordinates in which the prior has mean 0 and variance 1, twice the
rate is, to second order around the prior,

    2 KL(q(z|x) || p(z)) = |m|² + tr((S - I)²) / 2 + …

with m and S the moments of q(z|x). Its mean over the data, means taken about their own mean, is the
trace of

    R = Cov(m) + E[(S - I)²] / 2,

whose principal directions take up as much of the rate as so many directions can. For a factorised
prior that is not normal, they are those of its first two moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.within import half_differences
from pyrovae.models.contract import LatentModel

#: Draws from a prior, or for each datum, where moments are not known in closed form.
_PRIOR_DRAWS, _DRAWS = 4096, 64
#: Covariance matrices at a time.
_CHUNK = 250
#: Data that directions are found on: R is a mean over data.
_POINTS = 1000


@dataclass(frozen=True)
class Directions:
    """Orthonormal directions of a code, in coordinates in which the prior is standardised.

    Attributes
    ----------
    centre, scale
        Mean and standard deviation of the prior, ``(latent_dim,)``.
    rows
        The directions, by falling information, ``(latent_dim, latent_dim)``.
    information
        Eigenvalue of R of each, ``(latent_dim,)``: what Var(mu) is to a unit, and what the
        covariance says of x besides.
    between, within
        Along each, Var_x(E[z|x]) and E_x(Var[z|x]), ``(latent_dim,)``.
    """

    centre: Tensor
    scale: Tensor
    rows: Tensor
    information: Tensor
    between: Tensor
    within: Tensor

    def replaced(self, z: Tensor, direction: int, other: Tensor) -> Tensor:
        """Return codes ``z`` ``(n, d)`` whose component along a direction is that of ``other``."""
        row = self.rows[direction]
        moved = ((other - z) / self.scale) @ row
        return z + moved.unsqueeze(-1) * row * self.scale


def aligned(vae: LatentModel, x: Data) -> bool:
    """Return whether the axes of a code are special: q(z|x) has independent coordinates.

    A code on a sphere is taken by its coordinates too.
    """
    if vae.latent_dim == 1 or vae.space != "real" or vae.blocks is not None:
        return True  # layers have independent coordinates, given the others
    with torch.no_grad():
        return isinstance(vae.encode(observed(x[:2]), **given(x[:2])), Independent)


@only_measures
def find_directions(
    vae: LatentModel, x: Data, *, points: int = _POINTS, seed: int = 0
) -> Directions:
    """Return the principal directions of a code, by falling information.

    Parameters
    ----------
    vae
        Whose codes are real.
    x
        Observations ``(n, *event_shape)``, n > 1.
    points
        How many of them are used.
    seed
        Of draws where moments are not known.
    """
    with torch.no_grad(), seeded(seed, x.device):
        centre, scale = _prior_moments(vae.prior_law())
        means, n = [], 0
        eye = torch.eye(vae.latent_dim, dtype=torch.float64, device=x.device)
        within, excess = torch.zeros_like(eye), torch.zeros_like(eye)
        for part in x[:points].split(_CHUNK):
            mean, covariance = _moments(vae.encode(observed(part), **given(part)), centre, scale)
            means.append(mean)
            off = covariance - eye
            within += covariance.sum(0)
            excess += (off @ off).sum(0)
            n += len(part)
        between = _between(torch.cat(means), x[:points])
        information, vectors = torch.linalg.eigh(between + excess / (2 * n))
        rows = vectors.flip(1).T
        return Directions(
            centre,
            scale,
            rows.to(centre.dtype).contiguous(),
            information.flip(0),
            ((rows @ between) * rows).sum(1).to(centre.dtype),
            ((rows @ (within / n)) * rows).sum(1).to(centre.dtype),
        )


def _between(means: Tensor, x: Data) -> Tensor:
    """Return the covariance of posterior means ``(n, d)``, given a context within it."""
    if isinstance(x, Given):
        off = half_differences(means, x.context).flatten(0, 1)
        return off.T @ off / len(off)
    return torch.cov(means.T, correction=0).reshape(means.shape[1], -1)


def _prior_moments(p: Distribution) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation; without them, median and scaled quartile distance."""
    try:
        centre, scale = p.mean, p.stddev
    except NotImplementedError:
        centre = scale = torch.tensor(float("nan"))
    if not (centre.isfinite().all() and scale.isfinite().all() and (scale > 0).all()):
        z = p.sample((_PRIOR_DRAWS,))
        low, centre, high = z.quantile(z.new_tensor([0.25, 0.5, 0.75]), 0)
        scale = (high - low) / 1.349  # the quartiles of a normal law
    return centre, scale


def _moments(q: Distribution, centre: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return means ``(n, d)`` and covariances ``(n, d, d)`` in standardised coordinates."""
    covariance = getattr(q, "covariance_matrix", None)
    if covariance is not None:
        mean = (q.mean - centre) / scale
        return mean.double(), (covariance / scale / scale.unsqueeze(-1)).double()
    z = ((q.sample((_DRAWS,)) - centre) / scale).double()
    off = z - z.mean(0)
    return z.mean(0), torch.einsum("sni,snj->nij", off, off) / (_DRAWS - 1)
