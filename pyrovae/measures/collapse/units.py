"""What each latent unit does: its rate, its moments, and whether it is active.

Nothing here assumes a normal posterior: moments and divergences come from the marginals of the
family, in closed form where there is one, by quadrature or from samples otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl, marginals
from pyrovae.distributions.joint import Joint
from pyrovae.distributions.quadrature import kl_by_quadrature
from pyrovae.measures.collapse.moments import DRAWS, moments
from pyrovae.measures.collapse.nearest import nearest_kl
from pyrovae.measures.collapse.within import half_differences
from pyrovae.models.contract import LatentModel

#: Var_x(E[z_u|x]) above this makes a unit active (Burda, Grosse & Salakhutdinov 2016, sec. 5.2).
ACTIVE_VARIANCE = 0.01
#: The eps and delta of collapse, in nats and as a share (Lucas et al. 2019, definition 1 and
#: fig. 4: the share of units within 0.01 nats of the prior for 99 % of the data).
EPSILON, DELTA = 0.01, 0.01
#: Share of noise below which a unit is informative, and above which it is passive in a datum.
NOISE_SHARE = 0.8
#: A unit that is passive in at most this share of the data is active, in all but as many passive.
MIXED_SHARE = 0.05
#: Quantiles of KL(q(z_u|x) || p(z_u)) over the data that are kept.
QUANTILES = (0.05, 0.5, 0.95)
#: Data points encoded at a time: bounds memory, changes no number.
_CHUNK = 1000
#: Draws from a prior whose marginals have no density.
_PRIOR_DRAWS = 4096


@dataclass(frozen=True)
class Units:
    """Measures of each latent unit over a set of data points; arrays of shape ``(latent_dim,)``.

    Attributes
    ----------
    kl
        E_x KL(q(z_u|x) || p(z_u)), in nats.
    var_mu
        Var_x(E[z_u|x]); of a discrete unit, half the sum over labels of Var_x(q(z_u = k|x)).
    mean_var
        E_x(Var[z_u|x]): for a normal posterior, E_x(sigma_u^2); of a discrete unit, Gini's variance
        (:class:`pyrovae.measures.collapse.moments.Moments`).
    kl_se, var_mu_se, mean_var_se
        Standard errors of the three: over the data, as a sample of all data.
    kl_quantiles
        Quantiles of KL(q(z_u|x) || p(z_u)) over x at :data:`QUANTILES`, ``(3, latent_dim)``.
    kl_below
        P_x(KL(q(z_u|x) || p(z_u)) < eps), eps = :data:`EPSILON`.
    passive_share
        Share of the data in which the unit is passive: Var(z_u|x) is more than 0.8 of the variance
        of its codes over all data. NaN where variances are known by draws alone, too roughly.
    collapsed_data
        Share of the data in which every unit is passive: their codes say nothing of them.
    exact_kl
        Whether the KL of each datum is exact (closed form, or quadrature that agrees with a finer
        rule). If not, it scatters, and ``kl_se``, ``kl_quantiles`` and ``kl_below`` show that too.
    """

    kl: Tensor
    var_mu: Tensor
    mean_var: Tensor
    kl_se: Tensor
    var_mu_se: Tensor
    mean_var_se: Tensor
    kl_quantiles: Tensor
    kl_below: Tensor
    passive_share: Tensor
    collapsed_data: float
    exact_kl: bool

    @property
    def active(self) -> Tensor:
        """Whether each unit is active, by the variance of its posterior mean."""
        return self.var_mu > ACTIVE_VARIANCE

    @property
    def collapsed(self) -> Tensor:
        """Whether each unit is (eps, delta)-collapsed: KL < eps for all but a share delta of x.

        Lucas et al. 2019, definition 1 (arXiv:1911.02469). Where the KL of a datum is not exact its
        scatter would hide collapse: there the mean has to do, ``kl < eps``.
        """
        if self.exact_kl:
            return self.kl_below >= 1 - DELTA
        return self.kl < EPSILON

    @property
    def regime(self) -> list[str]:
        """``"active"``, ``"mixed"`` or ``"passive"`` of each unit; ``"unknown"`` at NaN.

        Rolinek et al. 2019 (arXiv:1812.06775) and Bonheme & Grzes 2023 (arXiv:2109.12679) tell
        units that are passive for some data from those that are so for all by sigma² near 1, which
        is of a standard normal prior. Here it is the spread of the unit's own codes that sigma² is
        compared with, which training holds near the prior's, whatever that is; of normal laws, an
        entropy within 0.11 nats of the code's.
        """
        share = self.passive_share
        said = ["active", "mixed", "passive", "unknown"]
        place = (share > MIXED_SHARE).long() + (share >= 1 - MIXED_SHARE).long()
        return [said[i] for i in place.masked_fill(share.isnan(), 3).tolist()]

    @property
    def variance_law(self) -> Tensor:
        """|Var_x(mu_u) + E_x(sigma_u^2) - 1| (Asperti 2019; Asperti & Trentin 2020).

        Zero at the optimum when the prior of the unit is standard normal.
        """
        return (self.var_mu + self.mean_var - 1).abs()

    @property
    def effective_dimension(self) -> float:
        """Participation ratio of Var(mu): (sum v)² / sum v², between 1 and ``latent_dim``.

        The number of units, had all that vary the same variance. 0 if none varies.
        """
        v = self.var_mu.clamp(min=0).double()
        squares = float(v.square().sum())
        return float(v.sum()) ** 2 / squares if squares > 0 else 0.0


@only_measures
def measure_units(vae: LatentModel, x: Data, *, samples: int = 16, seed: int = 0) -> Units:
    """Measure each unit of a VAE on data.

    Given a context, KL(q(z_u|x, c) || p(z_u|c)), and variances of means over data of the same one.

    Parameters
    ----------
    vae
        Of any prior and posterior family.
    x
        Observations ``(n, *event_shape)``, n > 1.
    samples
        Monte Carlo draws for each datum where KL(q(z_u|x) || p(z_u)) has no closed form and is not
        known by quadrature: of laws that are not made of parameters, of long tails under a mixture
        of very many components, and where no rule agrees with a finer one. Where a family has no
        marginals at all, moments and KL come from
        :data:`pyrovae.measures.collapse.moments.DRAWS` draws, or so many if they are more.
    seed
        Of those draws; the global random state is left as it was.
    """
    kls, parts = [], []
    exact = True
    with torch.no_grad(), seeded(seed, x.device):
        prior = None if isinstance(x, Given) else vae.prior_law()
        for part, q in zip(x.split(_CHUNK), encoded(vae, x), strict=True):
            parts.append(moments(q, max(samples, DRAWS)))
            p = vae.prior_law(**given(part)) if prior is None else prior
            kl, exact = _unit_kl(q, p, samples)
            kls.append(kl)
    kl = torch.cat(kls)
    mean, variance, error = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "variance", "error")
    )
    n = len(kl)
    held = [part.shares for part in parts if part.shares is not None]
    if isinstance(x, Given):
        with seeded(seed, x.device):
            square = half_differences(mean, x.context).square().mean(1)
        var_mu, var_mu_se = square.mean(0) - error.mean(0), square.std(0) / n**0.5
    else:
        var_mu, var_mu_se = _variance(mean, error)
    if held:
        discrete = torch.cat(held)
        labels = discrete[0].sum(-1) > 0
        with seeded(seed, x.device):
            of_labels = _variance_of_labels(discrete, x)
        var_mu = torch.where(labels, of_labels[0], var_mu)
        var_mu_se = torch.where(labels, of_labels[1], var_mu_se)
    # A unit that never varies is passive: 0 is not less than 0.8 of 0.
    total = var_mu.clamp(min=0) + variance.mean(0)
    passive = variance >= NOISE_SHARE * total
    # The error of a mean of independent draws says that there was nothing else to go by.
    drawn = (error * max(samples, DRAWS) > 0.999 * variance).all(0) & (variance > 0).any(0)
    passive_share = passive.to(kl.dtype).mean(0).masked_fill(drawn, float("nan"))
    return Units(
        kl=kl.mean(0),
        var_mu=var_mu,
        mean_var=variance.mean(0),
        kl_se=kl.std(0) / n**0.5,
        var_mu_se=var_mu_se,
        mean_var_se=variance.std(0) / n**0.5,
        kl_quantiles=kl.quantile(kl.new_tensor(QUANTILES), dim=0),
        kl_below=(kl < EPSILON).to(kl.dtype).mean(0),
        passive_share=passive_share,
        collapsed_data=float("nan") if drawn.any() else float(passive.all(1).float().mean()),
        exact_kl=exact,
    )


def _variance(mean: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """Return Var_x(E[z_u|x]) and its standard error from means ``(n, d)`` and their own errors."""
    # Means estimated from draws vary by their own error too: the analysis of variance takes it out.
    var_mu = mean.var(0, correction=0) - error.mean(0)
    fourth = (mean - mean.mean(0)).pow(4).mean(0)
    spread = (fourth - mean.var(0, correction=0) ** 2).clamp(min=0)
    return var_mu, (spread / len(mean)).sqrt()


def _variance_of_labels(shares: Tensor, x: Data) -> tuple[Tensor, Tensor]:
    """Return half the sum of the variances of q(z_u = k|x) over the data, and its standard error.

    With E_x of Gini's variance of q(z_u|x) it adds up to that of the aggregate posterior.
    """
    n = len(shares)
    if isinstance(x, Given):
        off = half_differences(shares.flatten(1), x.context).square().mean(1)
        each = off.reshape(shares.shape).sum(-1) / 2
    else:
        each = (shares - shares.mean(0)).square().sum(-1) / 2
    return each.mean(0), each.std(0) / n**0.5


@only_measures
def posterior_means(vae: LatentModel, x: Data, *, seed: int = 0) -> Tensor:
    """Return E[z|x], shape ``(n, latent_dim)``: the representation that scores are computed on.

    Of a discrete unit it is the most probable label.

    Where the family does not know its mean, that of
    :data:`pyrovae.measures.collapse.moments.DRAWS` draws.
    """
    with torch.no_grad(), seeded(seed, x.device):
        return torch.cat([moments(q).mean for q in encoded(vae, x)])


@only_measures
def drawn_codes(vae: LatentModel, x: Data, *, seed: int = 0) -> Tensor:
    """Return one draw from q(z|x) of each datum, shape ``(n, latent_dim)``."""
    with torch.no_grad(), seeded(seed, x.device):
        return torch.cat([q.sample() for q in encoded(vae, x)])


def encoded(vae: LatentModel, x: Data) -> Iterator[Distribution]:
    """Yield q(z|x) for the data, some points at a time."""
    for part in x.split(_CHUNK):
        yield vae.encode(observed(part), **given(part))


def _unit_kl(q: Distribution, p: Distribution, samples: int) -> tuple[Tensor, bool]:
    """Return KL(q_u || p_u) for each datum and unit, ``(n, latent_dim)``, and if it is exact."""
    if isinstance(q, Joint) and isinstance(p, Joint):
        return _layers_kl(q, p, samples)
    try:
        q_u, p_u = marginals(q), marginals(p)
    except NotImplementedError:
        z = q.sample((max(samples, DRAWS),))  # (s, n, d)
        reference = p.sample((_PRIOR_DRAWS,))
        kl = [nearest_kl(z[..., u].movedim(0, -1), reference[:, u]) for u in range(z.shape[-1])]
        return torch.stack(kl, -1), False
    closed = analytic_kl(q_u, p_u)
    if closed is not None:
        return closed, True
    integral = kl_by_quadrature(q_u, p_u)
    if integral is None:
        return _drawn_kl(q_u, p_u, samples), False
    if integral.known.all():
        return integral.value, True
    return torch.where(integral.known, integral.value, _drawn_kl(q_u, p_u, samples)), False


def _layers_kl(q: Joint, p: Joint, samples: int) -> tuple[Tensor, bool]:
    """Return the KL of each unit of each layer, given what both laws draw before it: the mean.

    A closed form stands for a unit's own draw where q has drawn before the layer all that p draws
    before it. Else the mean is that of log q - log p at draws, which is no KL by itself: under a
    bottom-up guide, of all layers but the top one.
    """
    z, q_laws = q.drawn((max(samples, 2),))
    p_laws, parts = p.laws(z), q.blocks.split(z)
    found, exact = [], True
    for i, (own, other) in enumerate(zip(q_laws, p_laws, strict=True)):
        if not q.knows(i) and not p.knows(i):
            kl, known = _unit_kl(own, other, samples)
            exact = exact and known
        else:
            q_u, p_u = marginals(own), marginals(other)
            closed = analytic_kl(q_u, p_u) if p.knows(i) <= q.knows(i) else None
            drawn = q_u.log_prob(parts[i]) - p_u.log_prob(parts[i]) if closed is None else closed
            kl, exact = drawn.mean(0), False
        found.append(kl)
    return torch.cat(found, -1), exact


def _drawn_kl(q_u: Distribution, p_u: Distribution, samples: int) -> Tensor:
    z = q_u.sample((samples,))
    return (q_u.log_prob(z) - p_u.log_prob(z)).mean(0)
