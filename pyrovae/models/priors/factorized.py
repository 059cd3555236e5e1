"""Priors whose dimensions are independent and identically distributed."""

from __future__ import annotations

from typing import Annotated

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER
from pyrovae.core.schedules import Positive, values
from pyrovae.distributions.student_t import StudentT as StudentTLaw
from pyrovae.models.priors.base import PRIORS, Prior


class Factorized(Prior):
    """Holds the buffer that gives the constants of a factorised prior their device and type."""

    properties = Prior.properties | {"factorized"}
    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)


@PRIORS.register("standard_normal")
class StandardNormal(Factorized):
    r"""Independent N(0, 1) in each dimension.

    .. math:: p(z) = \prod_u \mathcal{N}(z_u \mid 0, 1)

    Parameters
    ----------
    latent_dim
        Dimension ``d`` of the code.

    References
    ----------
    Kingma & Welling 2014, arXiv:1312.6114

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import StandardNormal
    >>> p = StandardNormal(3)()
    >>> p.event_shape, p.log_prob(torch.zeros(3))
    (torch.Size([3]), tensor(-2.7568))
    """

    has_location = True

    def forward(self) -> Distribution:
        """Return N(0, I)."""
        return dist.Normal(self.zero, torch.ones_like(self.zero)).to_event(1)


@PRIORS.register("laplace")
class Laplace(Factorized):
    r"""Independent Laplace(0, scale): heavier tails and a sharper peak than the normal.

    .. math:: p(z) = \prod_u \frac{1}{2 s} \exp\left(-\frac{|z_u|}{s}\right)

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    scale
        A number or a schedule of it. The default, 1/sqrt(2), gives unit variance, so that only the
        shape of the density differs from ``standard_normal``.

    References
    ----------
    Barello, Charles & Pillow 2018, doi:10.1101/399246

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Laplace
    >>> p = Laplace(3)()
    >>> p.event_shape, p.log_prob(torch.zeros(3))
    (torch.Size([3]), tensor(-1.0397))
    >>> p.variance
    tensor([1.0000, 1.0000, 1.0000])
    """

    has_location = True

    scale: Tensor

    def __init__(self, latent_dim: int, *, scale: Positive = 0.5**0.5) -> None:
        super().__init__(latent_dim)
        self.set_number("scale", scale)

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` Laplace laws."""
        return dist.Laplace(self.zero, self.scale.expand_as(self.zero)).to_event(1)


@PRIORS.register("student_t")
class StudentT(Factorized):
    r"""Independent Student t with df degrees of freedom: power-law tails.

    .. math:: p(z) \propto \prod_u \left(1 + \frac{z_u^2}{\nu s^2}\right)^{-(\nu + 1)/2}

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    df
        Degrees of freedom, or a schedule of them.
    scale
        Scale of the t law, or a schedule of it. The variance, df / (df - 2) times scale², is finite
        above df = 2: 5/3 by default, a standard deviation of 1.29.
    standardized
        Whether ``scale`` is the standard deviation instead: with 1, only the shape of the density
        differs from ``standard_normal``.

    References
    ----------
    Abiri & Ohlsson 2020, arXiv:2004.02581

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import StudentT
    >>> p = StudentT(3, df=4.0)()
    >>> p.event_shape, p.log_prob(torch.zeros(3))
    (torch.Size([3]), tensor(-2.9425))
    >>> p.variance
    tensor([2., 2., 2.])
    """

    has_location = True

    df: Tensor
    scale: Tensor

    def __init__(
        self,
        latent_dim: int,
        *,
        df: Positive = 5.0,
        scale: Positive = 1.0,
        standardized: Annotated[bool, LATER] = False,
    ) -> None:
        super().__init__(latent_dim)
        if standardized and min(values(df)) <= 2:
            raise ConfigError(
                "prior 'student_t': it has a standard deviation above df = 2 only, got "
                f"{min(values(df)):g}",
                "df",
            )
        self.standardized = standardized
        self.set_number("df", df)
        self.set_number("scale", scale)

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` Student t laws."""
        scale = self.scale * (1 - 2 / self.df).sqrt() if self.standardized else self.scale
        df, scale = self.df.expand_as(self.zero), scale.expand_as(self.zero)
        return StudentTLaw(df, self.zero, scale).to_event(1)
