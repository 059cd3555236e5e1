"""What stands between two layers of codes: networks, and p(z_l | z_{l+1})."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.located import located
from pyrovae.models.networks.base import ACTIVATIONS
from pyrovae.models.networks.dense import dense
from pyrovae.models.posteriors.base import head, positive
from pyrovae.models.priors import PRIORS, Prior


def between(inputs: int, hidden: Sequence[int], activation: str) -> tuple[nn.Module, int]:
    """Return dense layers ``(*b, inputs) -> (*b, width)``, and their width; none are the identity.

    Parameters
    ----------
    inputs
        What is read.
    hidden
        Widths.
    activation
        A key of :data:`pyrovae.models.networks.base.ACTIVATIONS`.
    """
    widths = [inputs, *hidden]
    layers = [
        layer
        for a, b in pairwise(widths)
        for layer in dense(a, b, ACTIVATIONS[activation](), None, 0.0)
    ]
    return nn.Sequential(*layers), widths[-1]


class Below(nn.Module):
    r"""p(z_l | z_{l+1}): a factorised law moved and stretched by networks of the layer above.

    .. math::

        z_l = m(z_{l+1}) + s(z_{l+1})\, \epsilon, \quad \epsilon \sim p_l

    Parameters
    ----------
    base
        The law of :math:`\epsilon`, with ``loc`` and ``scale`` for each coordinate.
    above
        Units of the layer above.
    hidden, activation
        Of the network that both m and s read.

    Raises
    ------
    ConfigError
        For a base law without location and scale.

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Laplace
    >>> law = Below(Laplace(3), 2, [8], "relu")(torch.zeros(5, 2))
    >>> law.batch_shape, type(law.base_dist).__name__
    (torch.Size([5]), 'Laplace')
    """

    def __init__(self, base: Prior, above: int, hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        if not base.has_location:
            able = ", ".join(name for name in PRIORS if PRIORS[name].has_location)
            raise ConfigError(
                f"prior '{PRIORS.name_of(type(base))}' has no location and scale that the layer "
                f"above could move (these have: {able})"
            )
        self.base = base
        self.shared, self.width = between(above, hidden, activation)
        self.loc = head(self.width, base.latent_dim)
        self.scale = head(self.width, base.latent_dim)

    def forward(self, above: Tensor) -> Distribution:
        """Return the law given codes of the layer above ``(*b, above)``: batch ``b``."""
        read = self.shared(above)
        return located(self.base(), self.loc(read), positive(self.scale(read)))

    def moved(self, above: Tensor, noise: Tensor | None) -> Tensor:
        """Return the code that the base law's value ``noise`` becomes; by default its mean's."""
        read = self.shared(above)
        value = self.base().mean if noise is None else noise
        return self.loc(read) + positive(self.scale(read)) * value
