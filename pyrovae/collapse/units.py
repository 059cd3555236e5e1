"""What each latent unit does: its rate, its moments, and whether it is active.

Nothing here assumes a normal posterior: moments and divergences come from the marginals of the
family, in closed form where there is one and from samples otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions import analytic_kl, marginals
from pyrovae.vae import VAE

#: Var_x(E[z_u|x]) above this makes a unit active (Burda, Grosse & Salakhutdinov 2016, sec. 5.2).
ACTIVE_VARIANCE = 0.01
#: Data points encoded at a time: bounds memory, changes no number.
_CHUNK = 1000


@dataclass(frozen=True)
class Units:
    """Measures of each latent unit over a set of data points; arrays of shape ``(latent_dim,)``.

    Attributes
    ----------
    kl
        E_x KL(q(z_u|x) || p(z_u)), in nats.
    var_mu
        Var_x(E[z_u|x]).
    mean_var
        E_x(Var[z_u|x]): for a normal posterior, E_x(sigma_u^2).
    """

    kl: Tensor
    var_mu: Tensor
    mean_var: Tensor

    @property
    def active(self) -> Tensor:
        """Whether each unit is active, by the variance of its posterior mean."""
        return self.var_mu > ACTIVE_VARIANCE

    @property
    def variance_law(self) -> Tensor:
        """|Var_x(mu_u) + E_x(sigma_u^2) - 1| (Asperti 2019; Asperti & Trentin 2020).

        Zero at the optimum when the prior of the unit is standard normal.
        """
        return (self.var_mu + self.mean_var - 1).abs()


def measure_units(vae: VAE, x: Tensor, *, samples: int = 16, seed: int = 0) -> Units:
    """Measure each unit of a VAE on data.

    Parameters
    ----------
    vae
        Its posterior family and prior must have marginals.
    x
        Observations ``(n, *event_shape)``, n > 1.
    samples
        Monte Carlo draws for each datum where KL(q(z_u|x) || p(z_u)) has no closed form.
    seed
        Of those draws; the global random state is left as it was.
    """
    kls, means, variances = [], [], []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        p = marginals(vae.prior())
        for part in x.split(_CHUNK):
            q = marginals(vae.encode(part))
            kls.append(_unit_kl(q, p, samples))
            means.append(q.mean)
            variances.append(q.variance)
    mean = torch.cat(means)
    return Units(
        kl=torch.cat(kls).mean(0),
        var_mu=mean.var(0, correction=0),
        mean_var=torch.cat(variances).mean(0),
    )


def posterior_means(vae: VAE, x: Tensor) -> Tensor:
    """Return E[z|x], shape ``(n, latent_dim)``: the representation that scores are computed on."""
    with torch.no_grad():
        return torch.cat([q.mean for q in encoded(vae, x)])


def encoded(vae: VAE, x: Tensor) -> Iterator[Distribution]:
    """Yield q(z|x) for the data, some points at a time."""
    for part in x.split(_CHUNK):
        yield vae.encode(part)


def _unit_kl(q: Distribution, p: Distribution, samples: int) -> Tensor:
    """Return KL(q_u || p_u) for each datum and unit, shape ``(n, latent_dim)``."""
    closed = analytic_kl(q, p)
    if closed is not None:
        return closed
    z = q.sample((samples,))
    return (q.log_prob(z) - p.log_prob(z)).mean(0)
