"""Posterior families with independent dimensions."""

from __future__ import annotations

from typing import Annotated, Any

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Number, Positive, Within
from pyrovae.distributions.fixed_scale import FixedScaleNormal as FixedScaleNormalLaw
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.student_t import StudentT
from pyrovae.models.posteriors.base import (
    FACTORIZED,
    POSTERIORS,
    Gamma,
    Posterior,
    head,
    location,
    positive,
)


class LocationScale(Posterior):
    """Two heads, location and scale, for a location-scale law in each dimension."""

    properties = FACTORIZED
    law: type[Any]

    def __init__(self, features: int, latent_dim: int, *, gamma: Gamma = None) -> None:
        super().__init__(features, latent_dim)
        self.loc = location(features, latent_dim, gamma)
        self.scale = head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` location-scale laws."""
        return self.law(self.loc(features), positive(self.scale(features))).to_event(1)


@POSTERIORS.register("mean_field_normal")
class MeanFieldNormal(LocationScale):
    r"""Normal with diagonal covariance, mean and scale from the encoder.

    .. math:: q(z \mid x) = \prod_u \mathcal{N}(z_u \mid \mu_u(x), \sigma_u(x)^2)

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Kingma & Welling 2014, arXiv:1312.6114

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import MeanFieldNormal
    >>> q = MeanFieldNormal(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> q.mean.shape, q.variance.shape
    (torch.Size([5, 3]), torch.Size([5, 3]))
    """

    properties = FACTORIZED | {"normal"}
    law = dist.Normal


@POSTERIORS.register("fixed_scale_normal")
class FixedScaleNormal(Posterior):
    r"""Normal with one standard deviation for all data and dimensions, which is not learned.

    .. math:: q(z \mid x) = \mathcal{N}(z \mid \mu(x), \sigma^2 I)

    The noise that a deterministic autoencoder (objective ``rae``) is measured with; under other
    objectives the constant-variance VAE.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    scale
        sigma, or a schedule of it.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Ghosh et al. 2020, sec. 3.1; arXiv:1903.12436

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import FixedScaleNormal
    >>> q = FixedScaleNormal(16, 3, scale=0.1)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> q.stddev.unique()
    tensor([0.1000])
    """

    properties = FACTORIZED | {"fixed_scale", "normal"}
    scale: Tensor

    def __init__(
        self, features: int, latent_dim: int, *, scale: Positive = 0.1, gamma: Gamma = None
    ) -> None:
        super().__init__(features, latent_dim)
        self.loc = location(features, latent_dim, gamma)
        self.set_number("scale", scale)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` normal laws of one scale."""
        loc = self.loc(features)
        return FixedScaleNormalLaw(loc, self.scale.expand_as(loc)).to_event(1)


@POSTERIORS.register("laplace")
class MeanFieldLaplace(LocationScale):
    r"""Independent Laplace laws, location and scale from the encoder.

    .. math::

        q(z \mid x) = \prod_u \frac{1}{2 s_u(x)} \exp\left(-\frac{|z_u - \mu_u(x)|}{s_u(x)}\right)

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Park, Lee & Yoo 2019, arXiv:1905.11052 (as a family)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import MeanFieldLaplace
    >>> q = MeanFieldLaplace(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    """

    law = dist.Laplace


@POSTERIORS.register("logistic")
class MeanFieldLogistic(LocationScale):
    r"""Independent logistic laws: bell-shaped with exponential tails.

    .. math::

        q(z \mid x) = \prod_u \frac{e^{-t_u}}{s_u(x) (1 + e^{-t_u})^2},
        \quad t_u = \frac{z_u - \mu_u(x)}{s_u(x)}

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Johnson, Kotz & Balakrishnan 1995, vol. 2, ch. 23 (as a family)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import MeanFieldLogistic
    >>> q = MeanFieldLogistic(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    """

    law = Logistic


@POSTERIORS.register("student_t")
class MeanFieldStudentT(LocationScale):
    r"""Independent Student t laws: power-law tails that cover what a normal q(z|x) misses.

    .. math::

        q(z \mid x) \propto \prod_u \left(1 + \frac{(z_u
        - \mu_u(x))^2}{\nu\, s_u(x)^2}\right)^{-(\nu + 1)/2}

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    df
        Degrees of freedom, the same for each datum and dimension, or a schedule of them. Above 2,
        so that q(z|x) has the variance that collapse is measured with, and KL(q || N(0, I)) is
        finite.
    gamma
        Standard deviation of each unit's location over a minibatch, which keeps its rate away from
        0 (Zhu et al. 2020; arXiv:2004.12585); none leaves it free.

    References
    ----------
    Domke & Sheldon 2018, arXiv:1808.09034 (as a family)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import MeanFieldStudentT
    >>> q = MeanFieldStudentT(16, 3, df=4.0)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    """

    df: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        df: Annotated[Number, Within(gt=2)] = 5.0,
        gamma: Gamma = None,
    ) -> None:
        super().__init__(features, latent_dim, gamma=gamma)
        self.set_number("df", df)

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` Student t laws."""
        loc = self.loc(features)
        return StudentT(self.df.expand_as(loc), loc, positive(self.scale(features))).to_event(1)
