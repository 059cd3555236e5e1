"""Moments and divergences of single dimensions, for every family: exact where known, else drawn."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.kl import analytic_kl
from pyrovae.distributions.marginals import marginals
from pyrovae.distributions.nearest import entropy, log_density

#: Fewest draws of q(z|x), and draws of p(z), where a density comes from draws.
_LEAST, _REFERENCE = 64, 5000


def unit_moments(q: Distribution, samples: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each dimension.

    Parameters
    ----------
    q
        Batch ``b``, event ``(d,)``.
    samples
        Draws, at least, for a family whose moments are not known.

    Returns
    -------
    mean, variance
        Shape ``(*b, d)``.
    """
    try:
        return q.mean, q.variance
    except NotImplementedError:
        z = q.sample((max(samples, _LEAST),))
        return z.mean(0), z.var(0)


def unit_kl(q: Distribution, p: Distribution, samples: int) -> Tensor:
    """Return KL(q_u || p_u) for each dimension u, in nats.

    Parameters
    ----------
    q
        Batch ``b``, event ``(d,)``.
    p
        Batch ``()``, event ``(d,)``.
    samples
        Draws, at least, for a pair that has no closed form. Where a marginal has no density, that
        of its draws is estimated from nearest neighbours.

    Returns
    -------
    Tensor
        Shape ``(*b, d)``.
    """
    q_u, p_u = _known(q), _known(p)
    if q_u is not None and p_u is not None:
        closed = analytic_kl(q_u, p_u)
        if closed is not None:
            return closed
    else:
        samples = max(samples, _LEAST)
    z = q.sample((samples,)) if q_u is None else q_u.sample((samples,))
    own = -entropy(z) if q_u is None else q_u.log_prob(z).mean(0)
    if p_u is None:
        return own - log_density(z, p.sample((_REFERENCE,))).mean(0)
    return own - p_u.log_prob(z).mean(0)


def _known(distribution: Distribution) -> Distribution | None:
    try:
        return marginals(distribution)
    except NotImplementedError:
        return None
