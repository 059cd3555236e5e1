"""A posterior family in hyperbolic space."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.autoregressive import zuko
from pyrovae.distributions.flow import Flow
from pyrovae.distributions.hyperbolic import Around
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head, positive


@POSTERIORS.register("wrapped_normal")
class WrappedNormal(Posterior):
    r"""A normal law wrapped around a point of hyperbolic space, in normal coordinates.

    .. math::

        z = \log_0 \exp_\mu\big(\mathrm{PT}_{0 \to \mu}(v)\big), \quad
        v \sim \mathcal{N}(0, \mathrm{diag}(\sigma(x)^2)), \quad \mu = \exp_0(m(x))

    A code z in R^d is the point of hyperbolic space (curvature -1) at distance \|z\| from the
    origin, in the direction of z: :func:`pyrovae.distributions.hyperbolic.to_ball` gives its place
    on the Poincaré ball. The prior ``standard_normal`` is then the normal law that is wrapped
    around the origin, and ``riemannian_normal`` the other usual one; the rate does not depend on
    coordinates. Away from the origin a family of ordinary normal laws would be another: space grows
    as exp(distance), so that this one's spread counts more the farther out it is.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension d of the code.

    References
    ----------
    Nagano et al. 2019, sec. 3, arXiv:1902.02992; Mathieu et al. 2019, sec. 3.1, arXiv:1901.06033

    Examples
    --------
    >>> import torch
    >>> from pyrovae.distributions.hyperbolic import to_ball
    >>> from pyrovae.models.posteriors import WrappedNormal
    >>> q = WrappedNormal(16, 2)(torch.randn(5, 16))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 2]), torch.Size([5]))
    >>> bool((to_ball(z).norm(dim=-1) < 1).all())
    True
    """

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        """Return the law around the encoder's point."""
        loc = self.loc(features)
        base = dist.Normal(torch.zeros_like(loc), positive(self.scale(features))).to_event(1)
        return Flow(base, zuko.transforms.ComposedTransform(Around(loc)))
