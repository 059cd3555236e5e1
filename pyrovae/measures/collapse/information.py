"""How much the code tells about the data, and how the rate splits up.

``E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z))`` (Hoffman & Johnson 2016, "ELBO surgery"),
and ``KL(q(z) || p(z)) = TC(z) + sum_u KL(q(z_u) || p(z_u))`` for a factorised prior (Chen et al.
2018, eq. 2; arXiv:1802.04942). All of it needs the aggregate posterior q(z) = E_x q(z|x), which is
estimated by the mixture of the posteriors of n data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions import marginals
from pyrovae.distributions.joint import Joint
from pyrovae.distributions.labels import shares
from pyrovae.measures.collapse.moments import DRAWS, moments
from pyrovae.measures.collapse.nearest import nearest_kl
from pyrovae.measures.collapse.within import same
from pyrovae.models.contract import LatentModel

#: Pairs of (code, datum) of a unit whose densities are held in memory at a time.
_PAIRS = 1 << 18
#: Data for a family without marginals, whose density is costly: a flow inverts once for each pair.
_COSTLY_POINTS = 100
#: The same for layers, whose densities are cheap and whose single units' are not.
_LAYERED_POINTS = 300
_PRIOR_DRAWS = 4096


@dataclass(frozen=True)
class Information:
    """Information measures, in nats; standard errors are over the data.

    Attributes
    ----------
    unit, unit_se
        I(x; z_u), ``(latent_dim,)``; it cannot exceed log n either.
    unit_kl, unit_kl_se
        KL(q(z_u) || p(z_u)) of the aggregate posterior, ``(latent_dim,)``.
    mi, mi_se
        I(x; z), a lower bound in expectation that cannot exceed log n: the information about which
        of the n data a code belongs to (Hoffman & Johnson's; Poole et al. 2019, eq. 12,
        arXiv:1905.06922, with a known conditional).
    mi_upper
        The smaller of two upper bounds: the rate, and that from the entropy of a normal law with
        the codes' covariance. Exact for a linear model. Where a unit is discrete, the second is the
        sum over units of I(x; z_u), which independent units cannot exceed.
    rate
        E_x KL(q(z|x) || p(z)), from the same draws.
    tc, tc_se
        Total correlation KL(q(z) || prod_u q(z_u)), with q(z) as for ``mi``: an upper bound in
        expectation, too high by as much as ``mi`` is too low.
    tc_lower
        The same with q(z) as for ``mi_upper``.
    points
        Number n of data; given a context, of those of the same one (their geometric mean).
    """

    unit: Tensor
    unit_se: Tensor
    unit_kl: Tensor
    unit_kl_se: Tensor
    mi: float
    mi_se: float
    mi_upper: float
    rate: float
    tc: float
    tc_se: float
    tc_lower: float
    points: int

    @property
    def ceiling(self) -> float:
        """Log of the number of points: what ``mi`` and ``unit`` cannot exceed."""
        return math.log(self.points)

    @property
    def aggregate_kl(self) -> float:
        """KL(q(z) || p(z)) = rate - I(x; z): an upper bound, as ``mi`` is a lower one."""
        return self.rate - self.mi

    @property
    def dimension_wise_kl(self) -> float:
        """Sum over units of KL(q(z_u) || p(z_u)) (Chen et al. 2018)."""
        return float(self.unit_kl.sum())


def near_ceiling(information: float, ceiling: float) -> bool:
    """Return whether a lower bound is so near its ceiling that it says little of what it bounds.

    Of codes that are spread evenly over as many places as there are data, the estimate is about
    log 2 below log n: from there on the ceiling is what is seen.
    """
    return information > ceiling - math.log(2)


@only_measures
def measure_information(vae: LatentModel, x: Data, *, seed: int = 0) -> Information:
    """Measure the information of the codes of some data, given their context where they have one.

    One code is drawn for each datum; each code's density under each datum's posterior is computed:
    n² densities. For a family without marginals n is at most 100, and the measures of single units
    come from nearest neighbours among draws (:mod:`pyrovae.measures.collapse.nearest`).

    Parameters
    ----------
    vae
        Of any prior and posterior family.
    x
        Observations ``(n, *event_shape)``, n > 1. With a context every measure is one given c, from
        mixtures over data of the same one, whose number is what counts for the ceiling.
    seed
        Of the draws; the global random state is left as it was.
    """
    with torch.no_grad(), seeded(seed, x.device):
        q, p = vae.encode(observed(x), **given(x)), vae.prior_law(**given(x))
        if isinstance(x, Given):
            return _with_marginals(q, marginals(q), p, x.context)
        try:
            return _with_marginals(q, marginals(q), p)
        except NotImplementedError:
            some = x[: _COSTLY_POINTS if vae.blocks is None else _LAYERED_POINTS]
            return _from_draws(vae.encode(some), p, euclidean=_euclidean(vae))


def _euclidean(vae: LatentModel) -> bool:
    # Layers depend on each other under the prior: their total correlation is no part of the rate.
    return vae.space == "real" and vae.blocks is None


def _with_marginals(
    q: Distribution, q_u: Distribution, p: Distribution, context: Tensor | None = None
) -> Information:
    z = q.sample()
    joint, units = _mixtures(q, q_u, z, context)
    log_p = p.log_prob(z)
    try:
        unit_log_p = marginals(p).log_prob(z)
        unit_kl, unit_kl_se = _mean(units.log_mix - unit_log_p, units.pull)
    except NotImplementedError:
        unit_kl = torch.full_like(z[0], math.nan)  # given a context there are too few draws
        if context is None:
            reference = p.sample((_PRIOR_DRAWS,))
            each = [nearest_kl(z[:, u], reference[:, u]) for u in range(z.shape[-1])]
            unit_kl = torch.stack(each)
        unit_kl_se = torch.full_like(unit_kl, math.nan)
    unit, unit_se = _mean(units.log_q - units.log_mix, -units.pull)
    discrete, most = shares(q_u), math.inf
    if discrete is not None and context is None:
        labels = discrete[0].sum(-1) > 0
        known = exact_information(discrete)
        unit, unit_se = torch.where(labels, known[0], unit), torch.where(labels, known[1], unit_se)
        most = float(unit.sum()) if labels.all() else math.inf
    mi, mi_se = _mean(joint.log_q - joint.log_mix, -joint.pull)
    tc, tc_se = _mean(joint.log_mix - units.log_mix.sum(-1), joint.pull - units.pull.sum(-1))
    return _bundle(
        z,
        joint.log_q,
        log_p,
        unit=(unit, unit_se),
        unit_kl=(unit_kl, unit_kl_se),
        mi=(float(mi), float(mi_se)),
        tc=(float(tc), float(tc_se)),
        unit_entropy=math.nan if discrete is not None else -float(units.log_mix.sum(-1).mean()),
        points=joint.points,
        most=most,
    )


def exact_information(shares: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return I(x; z_u) of discrete units and its standard error over the data, ``(d,)`` each.

    .. math:: I(x; z_u) = H(\bar q_u) - \mathbb{E}_x H(q_u(\cdot \mid x))

    Parameters
    ----------
    shares
        q(z_u = k|x), ``(n, d, K)``.
    """
    mixture = shares.mean(0)
    each = (torch.xlogy(shares, shares) - torch.xlogy(shares, mixture)).sum(-1)
    return each.mean(0), each.std(0) / len(shares) ** 0.5


def _from_draws(q: Distribution, p: Distribution, *, euclidean: bool) -> Information:
    draws = q.sample((DRAWS,))  # (s, n, d)
    z = draws[0]
    joint = _mixture(q, z)
    units = range(z.shape[-1])
    reference = p.sample((_PRIOR_DRAWS,))
    pooled = draws.flatten(0, 1)
    few = pooled[torch.randperm(len(pooled), device=pooled.device)[:_PRIOR_DRAWS]]
    unit = torch.stack([nearest_kl(draws[..., u].T, pooled[:, u]) for u in units])
    unit_kl = torch.stack([nearest_kl(few[:, u], reference[:, u]) for u in units])
    unit_se = unit.std(-1) / len(z) ** 0.5
    unit = unit.mean(-1)
    discrete = moments(q).shares if isinstance(q, Joint) else None
    if discrete is not None:  # of labels there are no nearest neighbours
        labels = discrete[0].sum(-1) > 0
        known = exact_information(discrete)
        unit, unit_se = torch.where(labels, known[0], unit), torch.where(labels, known[1], unit_se)
        unit_kl = torch.where(labels, _kl_of_labels(discrete.mean(0), reference), unit_kl)
    mi, mi_se = _mean(joint.log_q - joint.log_mix, -joint.pull)
    missing = torch.full_like(unit_kl, math.nan)
    tc, unit_entropy = math.nan, math.nan
    # On a sphere the joint density is per unit of area, the marginals' per unit of length.
    if euclidean:
        # Against a factorised law r near q(z) most of the noise cancels:
        # TC = KL(q || r) - sum_u KL(q_u || r_u).
        r = Normal(pooled.mean(0), pooled.std(0))
        near = r.sample((_PRIOR_DRAWS,))
        from_r = torch.stack([nearest_kl(few[:, u], near[:, u]) for u in units])
        tc = float((joint.log_mix - r.log_prob(z).sum(-1)).mean() - from_r.sum())
        unit_entropy = float(r.entropy().sum() - from_r.sum())
    return _bundle(
        z,
        joint.log_q,
        p.log_prob(z),
        unit=(unit, unit_se),
        unit_kl=(unit_kl, missing),
        mi=(float(mi), float(mi_se)),
        tc=(tc, math.nan),
        unit_entropy=unit_entropy,
        points=len(z),
    )


def _kl_of_labels(shares: Tensor, reference: Tensor) -> Tensor:
    """Return KL(q(z_u) || p(z_u)), ``(d,)``, with the prior's labels counted among draws."""
    places = torch.arange(shares.shape[-1], device=shares.device)
    counts = (reference.unsqueeze(-1) == places).to(shares).sum(0)
    prior = (counts + 0.5) / (counts + 0.5).sum(-1, keepdim=True)
    return (torch.xlogy(shares, shares) - shares * prior.log()).sum(-1)


def _bundle(
    z: Tensor,
    log_q: Tensor,
    log_p: Tensor,
    *,
    unit: tuple[Tensor, Tensor],
    unit_kl: tuple[Tensor, Tensor],
    mi: tuple[float, float],
    tc: tuple[float, float],
    unit_entropy: float,
    points: int,
    most: float = math.inf,
) -> Information:
    """``most``: what the information cannot exceed besides, of independent units their sum."""
    rate = float((log_q - log_p).mean())
    largest = _normal_entropy(z) if math.isfinite(unit_entropy) else math.inf
    # H(z) <= that of a normal law of the same covariance, so I = H(z) - H(z|x) is bounded as well.
    mi_upper = min(rate, largest + float(log_q.mean()), most)
    tc_lower = max(0.0, unit_entropy - largest) if math.isfinite(largest) else math.nan
    return Information(
        *unit, *unit_kl, *mi, max(mi_upper, mi[0]), rate, *tc, tc_lower, points=points
    )


class _Mixture:
    """Densities of codes under the posteriors of n data, and under their mixture.

    Parameters
    ----------
    z
        The codes, whose type and device the densities have.
    shape
        ``(n, *u)``: ``u`` is empty for joint laws, or the units for marginals.
    context
        Of the data, ``(n, k)``: each code's mixture is then that of the data of its own context.

    Attributes
    ----------
    log_q
        log q(z_j|x_j), ``(n, *u)``.
    log_mix
        log (1/n) sum_i q(z_j|x_i), ``(n, *u)``.
    pull
        (1/n) sum_j q(z_j|x_i) / q(z_j) for each datum i, ``(n, *u)``: what the mean of ``log_mix``
        owes to its component i. Its mean is 1.
    """

    def __init__(self, z: Tensor, shape: torch.Size, context: Tensor | None = None) -> None:
        self._context = context
        self._log_count = torch.full((len(z),), math.log(len(z)), dtype=torch.float64)
        self.log_q, self.log_mix = z.new_empty(shape), z.new_empty(shape)
        self.pull = z.new_zeros(shape)

    def take(self, index: Tensor, densities: Tensor) -> None:
        """Take log q(z_j|x_i) of codes ``index``, ``(len(index), n, *u)``; overwrites it."""
        self.log_q[index] = densities[torch.arange(len(index), device=index.device), index]
        count: Any = math.log(len(self.pull))
        if self._context is not None:
            among = same(self._context, index)
            known = among.sum(1).double().log()
            self._log_count[index.cpu()] = known.cpu()
            deep = [1] * (densities.dim() - 2)
            count = known.to(densities).reshape(-1, *deep)
            densities.masked_fill_(~among.reshape(*among.shape, *deep), -math.inf)
        top = densities.amax(1, keepdim=True)
        shares = densities.sub_(top).exp_()
        total = shares.sum(1, keepdim=True)
        self.log_mix[index] = (total.log() + top).squeeze(1) - count
        self.pull += shares.div_(total).sum(0)

    @property
    def points(self) -> int:
        """Data that a mixture is made of: their geometric mean."""
        return round(float(self._log_count.mean().exp()))


def _mixture(q: Distribution, z: Tensor) -> _Mixture:
    """Return the densities of a code for each datum, ``z`` ``(n, d)``, under the data's laws."""
    mixture = _Mixture(z, q.batch_shape)
    for index in _blocks(z):
        mixture.take(index, q.log_prob(z[index].unsqueeze(1)))
    return mixture


def _mixtures(
    q: Distribution, q_u: Distribution, z: Tensor, context: Tensor | None
) -> tuple[_Mixture, _Mixture]:
    """Return :func:`_mixture` of joint laws, and of their marginals; given a context, within it."""
    joint = _Mixture(z, q.batch_shape, context)
    units = _Mixture(z, q_u.batch_shape, context)
    factorised = isinstance(q, Independent) and q_u is q.base_dist
    for index in _blocks(z):
        codes = z[index].unsqueeze(1)
        densities = q_u.log_prob(codes)
        joint.take(index, densities.sum(-1) if factorised else q.log_prob(codes))
        units.take(index, densities)
    return joint, units


def _blocks(z: Tensor) -> Iterable[Tensor]:
    """Return the positions of codes whose densities under all data are held at a time."""
    return torch.arange(len(z), device=z.device).split(max(1, _PAIRS // z.numel()))


def _mean(values: Tensor, as_component: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over data and its standard error.

    A datum enters twice: by its own code, and as a component of the mixture under all codes. Both
    are in its influence on the mean (the delta method for a V-statistic: van der Vaart 1998, ch. 12
    and 20).
    """
    influence = values + as_component
    return values.mean(0), influence.std(0) / len(values) ** 0.5


def _normal_entropy(z: Tensor) -> float:
    """Return the entropy of a normal law with the covariance of the draws ``(n, d)``.

    Unbiased for normal draws: E log det of a sample covariance is below that of the covariance by
    a known amount (Anderson 2003, An Introduction to Multivariate Statistical Analysis, sec. 7.5).
    """
    n, d = z.shape
    if n <= d + 1:
        return math.inf
    covariance = torch.cov(z.double().T).reshape(d, d)
    log_det = float(torch.linalg.slogdet(covariance).logabsdet)
    degrees = torch.arange(n - d, n, dtype=torch.float64) / 2
    bias = float(torch.digamma(degrees).sum()) + d * math.log(2 / (n - 1))
    return 0.5 * (d * math.log(2 * math.pi * math.e) + log_det - bias)
