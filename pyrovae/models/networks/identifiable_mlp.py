"""A decoder that takes no two codes to the same law."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pyrovae.core.errors import ConfigError
from pyrovae.models.networks.base import NETWORKS
from pyrovae.models.networks.brenier import BrenierMap
from pyrovae.models.networks.mlp import Mlp


@NETWORKS.register("identifiable_mlp")
class IdentifiableMlp:
    r"""Dense encoder; a decoder that is one-to-one, of two Brenier maps: no code can be ignored.

    .. math::

        g(z) = T_2(E\, T_1(z)) + c, \quad T_i = \nabla \text{(strongly convex)}, \quad E^\top E = I,
        \quad |g(z) - g(z')| \ge \ell\, |z - z'|

    A posterior p(z|x) equals its prior if and only if z cannot be told from p(x|z); here it can,
    whatever the parameters are. l keeps the decoder from becoming nearly constant: it is the
    inverse Lipschitz constant of Kinoshita et al., who bound the rate from below with it.

    E embeds the code in the space of what is decoded; its columns are orthonormal and drawn once.

    Parameters
    ----------
    hidden
        Widths of the encoder's hidden layers, from the observation inwards, and reversed of those
        of both potentials.
    activation
        After each hidden layer of the encoder.
    inverse_lipschitz
        l, above 0.

    References
    ----------
    Wang, Blei & Cunningham 2021, sec. 3, arXiv:2301.00537; Kinoshita et al. 2023,
    arXiv:2304.12770 (l)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import IdentifiableMlp
    >>> network = IdentifiableMlp(hidden=[16], inverse_lipschitz=0.3)
    >>> decoder = network.decoder(2, (1, 4, 4), outputs_per_element=1)
    >>> z = torch.randn(50, 2)
    >>> decoder(z).shape
    torch.Size([50, 1, 1, 4, 4])
    >>> bool((torch.pdist(decoder(z).flatten(1)) >= 0.3 * torch.pdist(z)).all())
    True
    """

    #: As of ``mlp``: a context may follow the elements of an observation.
    reads_vectors = True

    def __init__(
        self,
        *,
        hidden: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)] = [256, 256],  # noqa: B006 - never changed
        activation: Literal["relu", "gelu", "tanh", "softplus"] = "relu",
        inverse_lipschitz: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1,
    ) -> None:
        self._encoder = Mlp(hidden=hidden, activation=activation)
        self.inverse_lipschitz = inverse_lipschitz

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder of ``mlp`` and the width of its last layer."""
        return self._encoder.encoder(event_shape)

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return the decoder.

        Raises
        ------
        ConfigError
            If there are fewer numbers to decode than a code has.
        """
        shape = (outputs_per_element, *event_shape)
        if math.prod(shape) < latent_dim:
            raise ConfigError(
                f"'identifiable_mlp' is one-to-one, and {math.prod(shape)} numbers that are "
                f"decoded cannot tell codes of {latent_dim} apart"
            )
        widths = self._encoder.decoder_hidden
        return OneToOne(latent_dim, shape, widths, self.inverse_lipschitz)


class OneToOne(nn.Module):
    """The decoder of ``identifiable_mlp``.

    Parameters
    ----------
    latent_dim
        Of the codes.
    shape
        Of what is decoded.
    hidden
        Widths of both potentials' layers.
    inverse_lipschitz
        What distances of codes are multiplied by at least.
    """

    #: No single layer holds all weights that belong to a unit.
    reads_code_once = False
    embedding: Tensor

    def __init__(
        self, latent_dim: int, shape: tuple[int, ...], hidden: list[int], inverse_lipschitz: float
    ) -> None:
        super().__init__()
        size, strength = math.prod(shape), math.sqrt(inverse_lipschitz)
        self.inner = BrenierMap(latent_dim, hidden, strength)
        self.outer = BrenierMap(size, hidden, strength)
        self.shift = nn.Parameter(torch.zeros(size))
        embedding, _ = torch.linalg.qr(torch.randn(size, latent_dim, device="cpu"))
        self.register_buffer("embedding", embedding.to(self.shift.device))
        self._shape = shape

    def forward(self, z: Tensor) -> Tensor:
        """Return ``(*b, *shape)`` for codes ``(*b, latent_dim)``."""
        found: Tensor = self.outer(self.inner(z) @ self.embedding.mT) + self.shift
        return found.unflatten(-1, self._shape)

    def inverse(self, output: Tensor) -> Tensor:
        """Return the codes ``(*b, latent_dim)`` that are decoded to ``(*b, *shape)``."""
        flat = output.flatten(-len(self._shape)) - self.shift
        return self.inner.inverse(self.outer.inverse(flat) @ self.embedding)
