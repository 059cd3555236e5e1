"""A posterior family q(z|x): from the encoder's features to a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import batch_norm, linear, softplus

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER, Registry
from pyrovae.core.scheduled import Scheduled
from pyrovae.models.sites import Terms, scored

#: softplus(x + _UNIT) is 1 at x = 0: an untrained head starts at the prior's scale.
_UNIT = 0.541324854612918
#: Keeps a scale away from 0, where log-densities overflow in single precision.
_SMALLEST_SCALE = 1e-6


class Posterior(Scheduled):
    """Base of the posterior families: the last layer of the encoder, and the law it parametrises.

    Each has a density everywhere on its space and draws that are differentiable functions of
    standard noise. The class attributes are facts that the compatibility matrix is computed from.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension ``d`` of the code.

    Raises
    ------
    ConfigError
        If ``latent_dim`` is below :attr:`smallest_latent_dim`.
    """

    #: Where ``z`` lives, of :data:`pyrovae.models.spaces.SPACES`. The prior must agree.
    space = "real"
    #: Labels of a unit, where codes are labels; 0 where they are real.
    classes = 0
    #: Codes that a gradient needs of each datum.
    draws = 1
    #: The smallest ``latent_dim`` that makes sense: 2 on a sphere.
    smallest_latent_dim = 1
    #: ``reparameterizable``: the gradient of a draw is an unbiased gradient of its expectation.
    #: ``amortized``: the law is a function of the features alone. ``moments``, ``covariance``: of a
    #: code, in closed form. ``marginals``: :func:`pyrovae.distributions.marginals` knows them.
    #: ``factorized``: dimensions are independent, and the law is an ``Independent``.
    #: ``normal``: besides, each dimension is normal.
    #: ``expectations``: instead of ``reparameterizable``, gradients of expectations are estimated
    #: by the draws of :meth:`in_training`, whatever it takes. ``certain``: a datum has one code, of
    #: which log q has no derivatives.
    properties: ClassVar[frozenset[str]] = frozenset({"reparameterizable", "amortized"})
    #: Whether ``forward`` takes, after the features, ``log_joint``: codes to log p(x, z).
    needs_model = False

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < self.smallest_latent_dim:
            raise ConfigError(
                f"a {self.space} posterior needs latent_dim >= {self.smallest_latent_dim}, "
                f"got {latent_dim}",
                "latent_dim",
            )
        self.features, self.latent_dim = features, latent_dim

    @property
    def unit_classes(self) -> tuple[int, ...] | None:
        """Labels of each unit, 0 of a real one; ``None`` where all are real."""
        return (self.classes,) * self.latent_dim if self.classes else None

    def forward(self, features: Tensor) -> Distribution:
        """Return q(z|x): features ``(*b, features)`` to batch ``b``, event ``(latent_dim,)``."""
        raise NotImplementedError

    def in_training(self, law: Distribution) -> Distribution:
        """Return what a law of codes, q(z|x) or p(z), is in the programs that are trained.

        It is that of what :meth:`heard` takes, mostly of :meth:`read` codes; another law than the
        given one only where codes are labels.
        """
        return law

    def read(self, z: Tensor) -> Tensor:
        """Return codes ``(*b, latent_dim)`` as the numbers that the decoder reads."""
        return z

    def heard(self, z: Tensor) -> Tensor:
        """Return draws of :meth:`in_training` as the numbers that the decoder reads: mostly so."""
        return z

    def with_gradients(self, terms: Terms) -> Terms:
        """Return what training draws say, of the same value, with the gradients that are wanted."""
        return scored(terms)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers :meth:`read` makes of each unit: of a label, one for each class."""
        classes = self.unit_classes if self.space in ("labels", "mixed") else None
        return tuple(k or 1 for k in classes or (0,) * self.latent_dim)

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return :attr:`properties` as they are with the user's parameters."""
        return cls.properties

    @classmethod
    def code_width(cls, latent_dim: int, parameters: Mapping[str, Any]) -> int:
        """Return how many numbers :meth:`read` makes of a code, by the user's parameters."""
        return latent_dim


#: What a law with independent dimensions has.
FACTORIZED = Posterior.properties | {"factorized", "marginals", "moments", "covariance"}


def positive(raw: Tensor) -> Tensor:
    """Map a network's output to a scale: softplus, shifted so that 0 gives 1."""
    return softplus(raw + _UNIT) + _SMALLEST_SCALE


def raw_scale(scale: Tensor) -> Tensor:
    """Return what :func:`positive` maps to a scale."""
    above = (scale - _SMALLEST_SCALE).clamp(min=_SMALLEST_SCALE)
    return above + torch.log(-torch.expm1(-above)) - _UNIT


def head(features: int, outputs: int) -> nn.Linear:
    """Return a linear layer that starts near zero, so that q(z|x) starts near the prior."""
    layer = nn.Linear(features, outputs)
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.zero_()
    return layer


#: Standard deviation that each unit's location is given over a minibatch; ``None`` leaves it free.
Gamma = Annotated[float | None, Field(gt=0, allow_inf_nan=False), LATER]
#: Weight of a minibatch in the running moments, and what keeps a variance from 0. It has to be far
#: below the variance of any head: what stands beside it shrinks the locations, and the bound of the
#: rate. With 1e-5, as is usual, an encoder of sentences had 0.003 nats where at least 1.96 are due.
_MOMENTUM, _EPSILON = 0.1, 1e-12


class NormalisedHead(nn.Linear):
    r"""A head each of whose outputs has one mean and variance over a minibatch.

    .. math:: \mu_u = \gamma\, \frac{w_u^\top f - m_u}{s_u} + \beta_u

    m and s are the minibatch's in training, and running moments in evaluation. The variance of the
    locations cannot fall to 0, so that no unit's rate can: under N(0, 1) its mean over the batch is
    at least :math:`\gamma^2 / 2`. Zhu et al. 2020, sec. 3, arXiv:2004.12585.

    Parameters
    ----------
    features, outputs
        Widths.
    gamma
        Standard deviation of each output; fixed. The bias is beta.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, outputs: int, gamma: float) -> None:
        super().__init__(features, outputs)
        nn.init.zeros_(self.bias)
        self.gamma = gamma
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_var", torch.ones(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(*b, outputs)`` for features ``(*b, features)``."""
        raw = linear(features, self.weight)
        normed = batch_norm(
            raw.reshape(-1, raw.shape[-1]),
            self.running_mean,
            self.running_var,
            training=self.training,
            momentum=_MOMENTUM,
            eps=_EPSILON,
        )
        return self.gamma * normed.reshape(raw.shape) + self.bias


def location(features: int, latent_dim: int, gamma: float | None) -> nn.Linear:
    """Return the head of a location: :func:`head`, or with a gamma a :class:`NormalisedHead`."""
    if gamma is None:
        return head(features, latent_dim)
    return NormalisedHead(features, latent_dim, gamma)


#: Posterior families by name: classes ``(features, latent_dim, *, …)``.
POSTERIORS: Registry = Registry(
    "posterior",
    Posterior,
    groups={
        "Independent dimensions": (
            "mean_field_normal",
            "fixed_scale_normal",
            "laplace",
            "logistic",
            "student_t",
            "relaxed_spike_slab",
        ),
        "Dependent dimensions": ("full_rank_normal", "low_rank_normal", "gaussian_mixture"),
        "Refined for each datum": ("semi_amortized",),
        "Flows": ("planar", "radial", "sylvester", "iaf", "maf", "nsf"),
        "Labels": ("categorical", "bernoulli", "mixed"),
        "Quantised": ("vector_quantized", "finite_scalar"),
        "Other spaces": ("von_mises_fisher", "power_spherical", "wrapped_normal"),
    },
)
