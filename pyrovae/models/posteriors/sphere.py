"""Posterior families on the unit sphere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.power_spherical import PowerSpherical as PowerSphericalLaw
from pyrovae.distributions.sphere_coordinates import unit
from pyrovae.distributions.von_mises_fisher import VonMisesFisher as VonMisesFisherLaw
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head, positive


class _AroundDirection(Posterior):
    """Two heads, direction and concentration; d numbers make a point of S^(d-1)."""

    properties = Posterior.properties | {"moments"}
    space = "sphere"
    smallest_latent_dim = 2
    law: type[Any]

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.direction = head(features, latent_dim)
        # Away from zero, which has no direction, for whatever the features are.
        torch.nn.init.normal_(self.direction.bias, std=0.1)
        self.concentration = head(features, 1)

    def forward(self, features: Tensor) -> Distribution:
        """Return the law around the encoder's direction."""
        concentration = positive(self.concentration(features)).squeeze(-1)
        return self.law(unit(self.direction(features)), concentration)


@POSTERIORS.register("von_mises_fisher")
class VonMisesFisher(_AroundDirection):
    r"""Von Mises-Fisher on the unit sphere: direction and one concentration from the encoder.

    .. math:: q(z \mid x) \propto \exp(\kappa(x)\, \mu(x)^\top z), \quad z \in S^{d-1}

    The concentration may fall to 0, the uniform law; the original adds 1, which keeps the rate
    away from 0 and so rules out collapse by construction.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.

    References
    ----------
    Davidson et al. 2018, sec. 3; arXiv:1804.00891

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import VonMisesFisher
    >>> q = VonMisesFisher(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> torch.allclose(q.rsample().norm(dim=-1), torch.ones(5))
    True
    """

    law = VonMisesFisherLaw


@POSTERIORS.register("power_spherical")
class PowerSpherical(_AroundDirection):
    r"""Power spherical on the unit sphere: as von Mises-Fisher, with heavier sides.

    .. math:: q(z \mid x) \propto (1 + \mu(x)^\top z)^{\kappa(x)}, \quad z \in S^{d-1}

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.

    References
    ----------
    De Cao & Aziz 2020, arXiv:2006.04437

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import PowerSpherical
    >>> q = PowerSpherical(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> torch.allclose(q.rsample().norm(dim=-1), torch.ones(5))
    True
    """

    law = PowerSphericalLaw
