"""A model and its pruned form on the same data with the same noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal

from pyrovae.distributions import analytic_kl
from pyrovae.vae import VAE

_CHUNK = 1000


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
    data_se, change_data_se
        Standard errors of ``before`` and ``change`` over the data, as a sample of all data.
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
    data_se: float
    change_data_se: float
    reconstruction_change: float


def compare(
    vae: VAE, pruned: VAE, keep: Tensor, x: Tensor, *, samples: int, seed: int = 0
) -> Comparison:
    """Estimate the ELBO of a model and of its pruned form.

    Parameters
    ----------
    vae, pruned
        The model, and what is left of it.
    keep
        The units that stayed, in order.
    x
        Observations ``(n, *event_shape)``.
    samples
        Draws for each datum, at least 2.
    seed
        Of the draws; the global random state is left as it was.
    """
    sums: list[Tensor] = []
    squares: list[Tensor] = []
    moved: list[Tensor] = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        p, p_pruned = vae.prior_law(), pruned.prior_law()
        for part in x.split(_CHUNK):
            q, q_pruned = vae.encode(part), pruned.encode(part)
            total, square = torch.zeros(5, len(part)), torch.zeros(5, len(part))
            centre: Tensor | None = None
            for _ in range(samples):
                z = q.sample()
                z_pruned = _same_noise(q, q_pruned, z, keep)
                before = _halves(vae, q, p, z, part)
                after = _halves(pruned, q_pruned, p_pruned, z_pruned, part)
                moved_by = after - before
                values = torch.cat(
                    [-torch.stack([before.sum(0), after.sum(0), moved_by.sum(0)]), moved_by]
                )
                # Variances are taken about the first draw: sums of squares of large numbers that
                # are close together lose their digits.
                centre = values if centre is None else centre
                total += values - centre
                square += (values - centre) ** 2
                last = vae.reconstruct(z) - pruned.reconstruct(z_pruned)
            assert centre is not None
            mean = total / samples
            squares.append((square / samples - mean**2) / (samples - 1))
            sums.append(centre + mean)
            moved.append(last.square().flatten(1).mean(1))
    mean, error = torch.cat(sums, 1).double(), torch.cat(squares, 1).double()
    n = mean.shape[1]
    standard = (error.sum(1).sqrt() / n).tolist()
    elbo, elbo_after, change, rate, distortion = mean.mean(1).tolist()
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
        data_se=float(mean[0].std()) / n**0.5,
        change_data_se=float(mean[2].std()) / n**0.5,
        reconstruction_change=float(torch.cat(moved).mean().sqrt()),
    )


def _halves(vae: VAE, q: Distribution, p: Distribution, z: Tensor, x: Tensor) -> Tensor:
    """Return rate and distortion at a draw, ``(2, n)``."""
    rate = analytic_kl(q, p)
    if rate is None:
        rate = q.log_prob(z) - p.log_prob(z)
    return torch.stack([rate, -vae.decode(z).log_prob(x)])


def _same_noise(q: Any, q_pruned: Any, z: Tensor, keep: Tensor) -> Tensor:
    """Return the draw of ``q_pruned`` that is made of the noise behind the draw ``z`` of ``q``."""
    if isinstance(q, MultivariateNormal):
        noise = torch.linalg.solve_triangular(
            q.scale_tril, (z - q.loc).unsqueeze(-1), upper=False
        ).squeeze(-1)
        return q_pruned.loc + (q_pruned.scale_tril @ noise[..., keep, None]).squeeze(-1)
    if isinstance(q, Independent) and hasattr(q.base_dist, "scale"):
        noise = (z - q.base_dist.loc) / q.base_dist.scale
        return q_pruned.base_dist.loc + q_pruned.base_dist.scale * noise[..., keep]
    return z[..., keep]  # the family is closed under marginals
