"""The Riemannian normal law of hyperbolic space as prior."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.hyperbolic import RiemannianNormal as Law
from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("riemannian_normal")
class RiemannianNormal(Prior):
    r"""Normal by the distance from the origin of hyperbolic space, in normal coordinates.

    .. math::

        p(z) \propto e^{-|z|^2 / 2 \sigma^2} \Big(\frac{\sinh |z|}{|z|}\Big)^{d-1}

    By the volume of hyperbolic space the density is the first factor alone: space that grows as
    exp(distance) draws the mass outwards, to about (d - 1) sigma². Codes are as ``wrapped_normal``
    has them; with one unit it is the normal law.

    Parameters
    ----------
    latent_dim
        Dimension d of the code.
    scale
        sigma, or a schedule of it. A space of curvature -c with sigma is this one with
        sqrt(c) sigma.

    References
    ----------
    Mathieu et al. 2019, sec. 3.1; arXiv:1901.06033

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import RiemannianNormal
    >>> p = RiemannianNormal(3, scale=0.5)()
    >>> p.event_shape, p.sample((5,)).shape
    (torch.Size([3]), torch.Size([5, 3]))
    >>> p = RiemannianNormal(1)()
    >>> p.log_prob(torch.zeros(1))  # -log(2 pi) / 2
    tensor(-0.9189)
    """

    scale: Tensor

    def __init__(self, latent_dim: int, *, scale: Positive = 1.0) -> None:
        super().__init__(latent_dim)
        self.set_number("scale", scale)

    def forward(self) -> Distribution:
        """Return the law around the origin."""
        return Law(self.scale, self.latent_dim)
