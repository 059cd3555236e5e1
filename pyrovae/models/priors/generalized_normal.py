"""A prior whose tails are set by one number."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.generalized_normal import GeneralizedNormal as Law
from pyrovae.distributions.generalized_normal import unit_variance_scale
from pyrovae.models.priors.base import PRIORS
from pyrovae.models.priors.factorized import Factorized


@PRIORS.register("generalized_normal")
class GeneralizedNormal(Factorized):
    r"""Independent density proportional to exp(-|z / scale|^p): Laplace at p = 1, normal at 2.

    .. math::

        p(z) = \prod_u \frac{p}{2 s\, \Gamma(1/p)} \exp\left(-\left|\frac{z_u}{s}\right|^p\right)

    For p other than 2 it is not rotation-invariant: the axes of the code mean something.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    p
        Shape, or a schedule of it: below 2 sparser than the normal, above 2 flatter.
    scale
        A number or a schedule of it; by default such that the variance is 1, so that only the shape
        of the density differs from ``standard_normal``.

    References
    ----------
    Stühmer, Turner & Nowozin 2020, sec. 3; arXiv:1909.05063

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import GeneralizedNormal
    >>> p = GeneralizedNormal(3, p=1.0)()
    >>> p.event_shape, p.log_prob(torch.zeros(3))  # that of laplace
    (torch.Size([3]), tensor(-1.0397))
    """

    has_location = True

    p: Tensor
    scale: Tensor

    def __init__(
        self, latent_dim: int, *, p: Positive = 1.5, scale: Positive | None = None
    ) -> None:
        super().__init__(latent_dim)
        self.set_number("p", p)
        if scale is None:
            self.set_number("scale", p, transform=unit_variance_scale)
        else:
            self.set_number("scale", scale)

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` generalized normal laws."""
        scale, p = self.scale.expand_as(self.zero), self.p.expand_as(self.zero)
        return Law(self.zero, scale, p).to_event(1)
