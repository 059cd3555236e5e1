"""Fully connected encoder and decoder."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from pyrovae.models.networks.base import ACTIVATIONS, NETWORKS, Dropout, Norm
from pyrovae.models.networks.dense import dense
from pyrovae.models.networks.skip import Skip, SkipDecoder


@NETWORKS.register("mlp")
class Mlp:
    r"""Dense layers; the decoder mirrors the encoder. No hidden layer makes both linear.

    .. math:: h_l = a(W_l h_{l-1} + b_l), \quad h_0 = x, \; l = 1 \dots L

    Parameters
    ----------
    hidden
        Widths of the encoder's hidden layers, from the observation inwards.
    activation
        After each hidden layer.
    decoder_hidden
        Widths of the decoder's hidden layers, from the code outwards; by default the encoder's,
        reversed.
    norm
        Between a hidden layer's linear map and its activation: ``layer`` (Ba et al. 2016;
        arXiv:1607.06450), ``batch`` (Ioffe & Szegedy 2015; arXiv:1502.03167), or none.
    dropout
        Share of hidden units that are set to 0 at each training step, after the activation
        (Srivastava et al. 2014; jmlr.org/papers/v15/srivastava14a); measures see all units.
    skip
        Whether every layer of the decoder reads the code (Dieng et al. 2019; arXiv:1807.04863), not
        only the first.

    References
    ----------
    Kingma & Welling 2014, appendix C; arXiv:1312.6114

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import Mlp
    >>> network = Mlp(hidden=[64, 32])
    >>> encoder, features = network.encoder((1, 28, 28))
    >>> encoder(torch.zeros(5, 1, 28, 28)).shape, features
    (torch.Size([5, 32]), 32)
    >>> decoder = network.decoder(3, (1, 28, 28), outputs_per_element=1)
    >>> decoder(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 1, 28, 28])
    """

    #: An observation is flattened first, so that a context may follow its elements.
    reads_vectors = True

    def __init__(
        self,
        *,
        hidden: list[Annotated[int, Field(gt=0)]] = [256, 256],  # noqa: B006 - never changed
        activation: Literal["relu", "gelu", "tanh", "softplus"] = "relu",
        decoder_hidden: list[Annotated[int, Field(gt=0)]] | None = None,
        norm: Norm = None,
        dropout: Dropout = 0.0,
        skip: Skip = False,
    ) -> None:
        self.hidden = list(hidden)
        mirrored = list(reversed(self.hidden))
        self.decoder_hidden = mirrored if decoder_hidden is None else list(decoder_hidden)
        self.activation = ACTIVATIONS[activation]
        self.norm, self.dropout, self.skip = norm, dropout, skip

    def _hidden(self, inputs: int, outputs: int) -> list[nn.Module]:
        return dense(inputs, outputs, self.activation(), self.norm, self.dropout)

    def _layers(self, widths: list[int]) -> list[nn.Module]:
        return [layer for pair in pairwise(widths) for layer in self._hidden(*pair)]

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder and the width of its last layer."""
        widths = [math.prod(event_shape), *self.hidden]
        flatten = nn.Flatten(-len(event_shape), -1)
        return nn.Sequential(flatten, *self._layers(widths)), widths[-1]

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return the decoder."""
        widths = [latent_dim, *self.decoder_hidden]
        shape = (outputs_per_element, *event_shape)
        if self.skip and self.decoder_hidden:
            return self._skipping(widths, shape)
        return nn.Sequential(
            *self._layers(widths),
            nn.Linear(widths[-1], math.prod(shape)),
            nn.Unflatten(-1, shape),
        )

    def _skipping(self, widths: list[int], shape: tuple[int, ...]) -> SkipDecoder:
        again = [widths[0], *(width + widths[0] for width in widths[1:])]
        stages = [
            nn.Sequential(*self._hidden(inputs, outputs))
            for inputs, outputs in zip(again[:-1], widths[1:], strict=True)
        ]
        last = nn.Sequential(nn.Linear(again[-1], math.prod(shape)), nn.Unflatten(-1, shape))
        return SkipDecoder([*stages, last])
