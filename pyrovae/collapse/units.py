"""What each latent unit does: its rate, its moments, and whether it is active.

Nothing here assumes a normal posterior: moments and divergences come from the marginals of the
family, in closed form where there is one and from samples otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.distributions import unit_kl, unit_moments
from pyrovae.latent_model import LatentModel

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


def measure_units(vae: LatentModel, x: Tensor, *, samples: int = 16, seed: int = 0) -> Units:
    """Measure each unit of a VAE on data.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``, n > 1.
    samples
        Monte Carlo draws for each datum where moments or KL(q(z_u|x) || p(z_u)) have no closed
        form; see :func:`pyrovae.distributions.unit_kl`.
    seed
        Of those draws; the global random state is left as it was.
    """
    kls, means, variances = [], [], []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        p = vae.prior_law()
        for part in x.split(_CHUNK):
            q = vae.encode(part)
            kls.append(unit_kl(q, p, samples))
            part_mean, variance = unit_moments(q, samples)
            means.append(part_mean)
            variances.append(variance)
    mean = torch.cat(means)
    return Units(
        kl=torch.cat(kls).mean(0),
        var_mu=mean.var(0, correction=0),
        mean_var=torch.cat(variances).mean(0),
    )


def posterior_means(vae: LatentModel, x: Tensor, *, samples: int = 64, seed: int = 0) -> Tensor:
    """Return E[z|x], shape ``(n, latent_dim)``: the representation that scores are computed on.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``.
    samples, seed
        Draws for each datum where the family's mean is not known (flows), and their seed; the
        global random state is left as it was.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.cat([unit_moments(vae.encode(part), samples)[0] for part in x.split(_CHUNK)])
