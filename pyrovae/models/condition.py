"""What of a VAE is given a context: the encoder, the decoder, the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.datasets.context import Columns
from pyrovae.distributions.located import located
from pyrovae.models.posteriors.base import positive


@dataclass(frozen=True)
class Condition:
    """Which programs of a model are given a context, and of what size.

    Attributes
    ----------
    size
        Numbers k of a datum's context.
    encoder, decoder
        Whether q(z|x, c) and p(x|z, c) depend on it.
    prior
        Whether p(z|c) does.
    columns
        The labels and covariates that it is made of, where they are known.
    """

    size: int
    encoder: bool = True
    decoder: bool = True
    prior: bool = False
    columns: Columns | None = None

    def require(self, context: Tensor | None, what: str) -> Tensor:
        """Return a context that fits.

        Raises
        ------
        ConfigError
            If there is none, or one of another size: nothing is averaged over silently.
        """
        told = f" ({', '.join(self.columns.names)})" if self.columns else ""
        if context is None:
            raise ConfigError(f"is missing: the {what} of this model is given one{told}", "context")
        if context.shape[-1] != self.size:
            raise ConfigError(
                f"has {context.shape[-1]} numbers for each datum: this model takes {self.size}"
                f"{told}",
                "context",
            )
        return context


def joined(values: Tensor, context: Tensor) -> Tensor:
    """Return codes or vectors ``(*b, d)`` and a context that broadcasts to ``b``, side by side."""
    return torch.cat([values, context.expand(*values.shape[:-1], context.shape[-1])], -1)


def joined_shape(event_shape: tuple[int, ...], size: int, *, planes: bool) -> tuple[int, ...]:
    """Return the shape of an observation with its context beside it; see :func:`beside`."""
    if planes:
        channels, *rest = event_shape
        return (channels + size, *rest)
    return (math.prod(event_shape) + size,)


def beside(x: Tensor, context: Tensor, event_dims: int, *, planes: bool) -> Tensor:
    """Return observations ``(*b, *event_shape)`` with their context as an encoder reads it.

    Parameters
    ----------
    x, context
        Of the same data.
    event_dims
        Number of an observation's dimensions.
    planes
        Whether each number of the context is a channel of its own, the same at each place of an
        image. Else observations are made vectors, and the context follows.
    """
    if not planes:
        return joined(x.flatten(-event_dims), context)
    places = x.shape[1 - event_dims :]
    spread = context.reshape(*context.shape, *[1] * len(places))
    batch = x.shape[:-event_dims]
    return torch.cat([x, spread.expand(*batch, context.shape[-1], *places)], -event_dims)


class PriorMap(nn.Module):
    r"""p(z|c): a base law moved and stretched by learned functions of the context.

    .. math:: z_u = m_u(c) + s_u(c)\, \epsilon_u, \quad \epsilon \sim p, \quad m(c) = W c + b, \;
        s(c) = \mathrm{softplus}(V c + v)

    It starts at the base law: m = 0 and s = 1. The base law has ``loc`` and ``scale`` for each
    coordinate, so that p(z|c) is of its family and a closed form of KL(q || p) stays one.

    Parameters
    ----------
    size
        Numbers of a context.
    latent_dim
        Dimension of the code.

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.condition import PriorMap
    >>> from pyrovae.models.priors import Laplace
    >>> law = PriorMap(2, 3)(Laplace(3)(), torch.ones(5, 2))
    >>> law.batch_shape, bool((law.mean == 0).all())
    (torch.Size([5]), True)
    """

    def __init__(self, size: int, latent_dim: int) -> None:
        super().__init__()
        self.map = nn.Linear(size, 2 * latent_dim)
        with torch.no_grad():
            self.map.weight.zero_()
            self.map.bias.zero_()

    def forward(self, law: Distribution, context: Tensor) -> Distribution:
        """Return p(z|c): batch ``b`` for contexts ``(*b, size)``."""
        loc, raw = self.map(context).chunk(2, -1)
        return located(law, loc, positive(raw))
