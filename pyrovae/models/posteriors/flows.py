"""Posterior families made by a flow from an amortised normal law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution, Transform

from pyrovae.distributions.autoregressive import autoregressive, zuko
from pyrovae.distributions.flow import Flow
from pyrovae.distributions.planar import Planar as PlanarTransform
from pyrovae.distributions.radial import Radial as RadialTransform
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head, positive

#: A number of maps, or of anything that there has to be one of.
Count = Annotated[int, Field(gt=0)]


class OnNormal(Posterior):
    """Base of flows: a normal law with diagonal covariance from the encoder."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)

    def _base(self, features: Tensor) -> Distribution:
        return dist.Normal(self.loc(features), positive(self.scale(features))).to_event(1)

    def _chained(
        self,
        features: Tensor,
        given: Tensor,
        transforms: int,
        made: Callable[[int, Tensor], Transform],
    ) -> Distribution:
        """Return the base's law after maps, each of its number and its share of ``given``."""
        shares = given.unflatten(-1, (transforms, -1)).unbind(-2)
        maps = [made(i, share) for i, share in enumerate(shares)]
        return Flow(self._base(features), zuko.transforms.ComposedTransform(*maps))


@POSTERIORS.register("planar")
class Planar(OnNormal):
    r"""Planar flow: the encoder gives a normal law and some hyperplanes along which it is bent.

    .. math::

        z = f_K \circ \dots \circ f_1(z_0), \quad f(z) = z + v \tanh(w^\top z + b),
        \quad z_0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    transforms
        Number of planar maps, one after the other; each has its 2 d + 1 parameters from the
        encoder.

    References
    ----------
    Rezende & Mohamed 2015, eq. 10; arXiv:1505.05770

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Planar
    >>> q = Planar(16, 3, transforms=4)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(self, features: int, latent_dim: int, *, transforms: Count = 4) -> None:
        super().__init__(features, latent_dim)
        self.transforms = transforms
        self.planes = head(features, transforms * (2 * latent_dim + 1))
        # A normal vector of zero has no direction.
        torch.nn.init.normal_(self.planes.bias, std=0.3)

    def forward(self, features: Tensor) -> Distribution:
        """Return the law of a normal variable after all planar maps."""
        sizes = [1, self.latent_dim, self.latent_dim]

        def made(_: int, plane: Tensor) -> Transform:
            return PlanarTransform(plane.split(sizes, dim=-1))

        return self._chained(features, self.planes(features), self.transforms, made)


@POSTERIORS.register("radial")
class Radial(OnNormal):
    r"""Radial flow: the encoder gives a normal law and some centres around which space is drawn.

    .. math::

        z = f_K \circ \dots \circ f_1(z_0), \quad
        f(z) = z + \frac{\beta\, (z - c)}{\alpha + |z - c|},
        \quad z_0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension d of the code.
    transforms
        Number of radial maps, one after the other; each has its d + 2 parameters from the encoder.

    References
    ----------
    Rezende & Mohamed 2015, eq. 14; arXiv:1505.05770

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import Radial
    >>> q = Radial(16, 3, transforms=4)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(self, features: int, latent_dim: int, *, transforms: Count = 4) -> None:
        super().__init__(features, latent_dim)
        self.transforms = transforms
        self.rings = head(features, transforms * (latent_dim + 2))
        # All centres at one place, with beta = 0, would learn alike.
        torch.nn.init.normal_(self.rings.bias, std=0.3)

    def forward(self, features: Tensor) -> Distribution:
        """Return the law of a normal variable after all radial maps."""

        def made(_: int, ring: Tensor) -> Transform:
            return RadialTransform(*ring.split([self.latent_dim, 1, 1], dim=-1))

        return self._chained(features, self.rings(features), self.transforms, made)


class _Autoregressive(OnNormal):
    """Masked networks, given the encoder's features, in the direction in which draws are cheap."""

    def _build(
        self,
        univariate: Literal["affine", "spline"],
        transforms: int,
        hidden: list[int],
        bins: int = 8,
    ) -> None:
        self.flow = autoregressive(
            univariate,
            self.latent_dim,
            context=self.features,
            transforms=transforms,
            hidden=hidden,
            bins=bins,
        )

    def forward(self, features: Tensor) -> Distribution:
        """Return the law of a normal variable after all transforms."""
        return Flow(self._base(features), self.flow(features))


class _Affine(_Autoregressive):
    """Affine maps, in either direction."""

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        transforms: Count = 2,
        hidden: Annotated[list[Count], Field(min_length=1)] = [64],  # noqa: B006 - never changed
    ) -> None:
        super().__init__(features, latent_dim)
        self._build("affine", transforms, hidden)


@POSTERIORS.register("iaf")
class InverseAutoregressive(_Affine):
    r"""Inverse autoregressive flow: affine maps of each dimension, given the noise before it.

    .. math::

        z_u = \mu_u(z^0_{<u}, x) + \sigma_u(z^0_{<u}, x)\, z^0_u,
        \quad z^0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    Parameters
    ----------
    features
        Width of the encoder's output, which each masked network sees.
    latent_dim
        Dimension of the code.
    transforms
        Number of autoregressive maps.
    hidden
        Widths of each masked network's hidden layers.

    References
    ----------
    Kingma et al. 2016, sec. 3; arXiv:1606.04934

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import InverseAutoregressive
    >>> q = InverseAutoregressive(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """


@POSTERIORS.register("maf")
class MaskedAutoregressive(_Affine):
    r"""Masked autoregressive flow: affine maps of each dimension, given the code's before it.

    .. math::

        z_u = \mu_u(z_{<u}, x) + \sigma_u(z_{<u}, x)\, z^0_u,
        \quad z^0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    The density of any code is one pass, a draw takes one for each dimension; ``iaf`` is the other
    way round, and trains faster. Their families differ: here a dimension depends on codes, there on
    noise.

    Parameters
    ----------
    features
        Width of the encoder's output, which each masked network sees.
    latent_dim
        Dimension of the code.
    transforms
        Number of autoregressive maps.
    hidden
        Widths of each masked network's hidden layers.

    References
    ----------
    Papamakarios, Pavlakou & Murray 2017, sec. 3; arXiv:1705.07057

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import MaskedAutoregressive
    >>> q = MaskedAutoregressive(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def forward(self, features: Tensor) -> Distribution:
        """Return the law of what the transforms take to a normal variable."""
        return Flow(self._base(features), self.flow(features).inv)


@POSTERIORS.register("nsf")
class NeuralSpline(_Autoregressive):
    r"""Neural spline flow: as ``iaf``, with a monotone spline in place of an affine map.

    .. math::

        z_u = \mathrm{spline}_{\theta_u(z^0_{<u}, x)}(z^0_u),
        \quad z^0 \sim \mathcal{N}(\mu(x), \mathrm{diag}(\sigma(x)^2))

    Parameters
    ----------
    features
        Width of the encoder's output, which each masked network sees.
    latent_dim
        Dimension of the code.
    transforms
        Number of autoregressive maps.
    hidden
        Widths of each masked network's hidden layers.
    bins
        Pieces of each spline on [-5, 5]; outside it the map is the identity.

    References
    ----------
    Durkan et al. 2019, arXiv:1906.04032

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import NeuralSpline
    >>> q = NeuralSpline(16, 3)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> z = q.rsample()
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        transforms: Count = 2,
        hidden: Annotated[list[Count], Field(min_length=1)] = [64],  # noqa: B006 - never changed
        bins: Annotated[int, Field(gt=1)] = 8,
    ) -> None:
        super().__init__(features, latent_dim)
        self._build("spline", transforms, hidden, bins)
