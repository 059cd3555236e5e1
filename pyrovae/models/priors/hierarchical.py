"""Priors with a scale of its own for each dimension, itself random: relevance is inferred.

The scales are global: they are shared by all data, sampled outside the plate, and have a log-normal
variational posterior, which the prior carries as its :meth:`guide`.
"""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import softplus

from pyrovae.core.schedules import Positive
from pyrovae.distributions.half_cauchy import HalfCauchy
from pyrovae.models.priors.base import PRIORS, Prior

#: softplus of this is 0.1: variational posteriors start narrow, around 1.
_NARROW = -2.2521685


class _LogNormalGuide(nn.Module):
    """A log-normal law with free location and scale, around 1 at the start.

    Parameters
    ----------
    shape
        Of the event: ``()`` or ``(d,)``.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(shape))
        self.raw_scale = nn.Parameter(torch.full(shape, _NARROW))

    def forward(self) -> Distribution:
        """Return the law: batch ``()``, event ``shape``."""
        return dist.LogNormal(self.loc, softplus(self.raw_scale)).to_event(self.loc.dim())

    def median(self) -> Tensor:
        """Return exp(loc), shape ``shape``."""
        return self.loc.exp()


@PRIORS.register("ard")
class Ard(Prior):
    r"""Automatic relevance determination: N(0, 1/a_u) with precision a_u ~ Gamma(shape, rate).

    .. math::

        p(z \mid a) = \prod_u \mathcal{N}(z_u \mid 0, 1/a_u),
        \quad a_u \sim \mathrm{Gamma}(\mathrm{shape}, \mathrm{rate})

    Sites ``prior.precision``, shape ``(latent_dim,)``, outside the plate.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    shape, rate
        Of the Gamma law of each precision, or schedules of them; its mean is shape / rate.

    References
    ----------
    Neal 1996, sec. 1.2.3 (ARD); Bishop 1999, Bayesian PCA, eq. 4

    Examples
    --------
    >>> import pyro, torch
    >>> from pyrovae.models.priors import Ard
    >>> trace = pyro.poutine.trace(Ard(3)).get_trace()
    >>> trace.nodes["prior.precision"]["value"].shape
    torch.Size([3])
    >>> Ard(3).fitted().log_prob(torch.zeros(3))  # at precisions of 1
    tensor(-2.7568, grad_fn=<SumBackward1>)
    """

    shape: Tensor
    rate: Tensor

    properties = Prior.properties | {"factorized"}
    global_sites = ("prior.precision",)

    def __init__(self, latent_dim: int, *, shape: Positive = 1.0, rate: Positive = 1.0) -> None:
        super().__init__(latent_dim)
        self.set_number("shape", shape)
        self.set_number("rate", rate)
        self.precision = _LogNormalGuide(latent_dim)

    def guide(self) -> None:
        """Sample the precisions from their variational posterior."""
        pyro.sample("prior.precision", self.precision())

    def forward(self) -> Distribution:
        """Sample the precisions and return N(0, diag(1/a))."""
        like = self.precision.loc
        law = dist.Gamma(self.shape.expand_as(like), self.rate.expand_as(like)).to_event(1)
        return self._given(pyro.sample("prior.precision", law))

    def fitted(self) -> Distribution:
        """Return p(z) at the median of the precisions' variational posterior."""
        return self._given(self.precision.median())

    def _given(self, precision: Tensor) -> Distribution:
        return dist.Normal(torch.zeros_like(precision), precision.rsqrt()).to_event(1)


@PRIORS.register("horseshoe")
class Horseshoe(Prior):
    r"""N(0, (t l_u)²), half-Cauchy global and local scales: few dimensions large, the rest tiny.

    .. math::

        p(z \mid t, l) = \prod_u \mathcal{N}(z_u \mid 0, t^2 l_u^2),
        \quad l_u \sim \mathrm{C}^+(0, 1), \quad t \sim \mathrm{C}^+(0, \tau)

    Sites ``prior.global_scale``, a number, and ``prior.local_scale``, shape ``(latent_dim,)``,
    outside the plate.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    global_scale
        Scale of the half-Cauchy law of t, or a schedule of it; the smaller, the fewer dimensions
        are used.

    References
    ----------
    Carvalho, Polson & Scott 2009, eq. 1; PMLR 5:73-80

    Examples
    --------
    >>> import pyro, torch
    >>> from pyrovae.models.priors import Horseshoe
    >>> trace = pyro.poutine.trace(Horseshoe(3)).get_trace()
    >>> [trace.nodes[site]["value"].shape for site in Horseshoe.global_sites]
    [torch.Size([]), torch.Size([3])]
    >>> Horseshoe(3).fitted().log_prob(torch.zeros(3))  # at scales of 1
    tensor(-2.7568, grad_fn=<SumBackward1>)
    """

    expected: Tensor

    properties = Prior.properties | {"factorized"}
    global_sites = ("prior.global_scale", "prior.local_scale")

    def __init__(self, latent_dim: int, *, global_scale: Positive = 1.0) -> None:
        super().__init__(latent_dim)
        self.set_number("expected", global_scale)
        self.global_scale = _LogNormalGuide()
        self.local_scale = _LogNormalGuide(latent_dim)

    def guide(self) -> None:
        """Sample the scales from their variational posterior."""
        pyro.sample("prior.global_scale", self.global_scale())
        pyro.sample("prior.local_scale", self.local_scale())

    def forward(self) -> Distribution:
        """Sample the scales and return N(0, diag((t l)²))."""
        t_law = HalfCauchy(self.expected)
        l_law = HalfCauchy(torch.ones_like(self.local_scale.loc)).to_event(1)
        t = pyro.sample("prior.global_scale", t_law)
        return self._given(t, pyro.sample("prior.local_scale", l_law))

    def fitted(self) -> Distribution:
        """Return p(z) at the medians of the scales' variational posterior."""
        return self._given(self.global_scale.median(), self.local_scale.median())

    def _given(self, t: Tensor, local: Tensor) -> Distribution:
        scale = t.unsqueeze(-1) * local
        return dist.Normal(torch.zeros_like(scale), scale).to_event(1)
