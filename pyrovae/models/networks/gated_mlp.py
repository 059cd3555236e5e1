"""Fully connected encoder and decoder of gated layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from pyrovae.models.networks.base import NETWORKS, Dropout, Norm
from pyrovae.models.networks.dense import dense
from pyrovae.models.networks.mlp import Mlp
from pyrovae.models.networks.skip import Skip


@NETWORKS.register("gated_mlp")
class GatedMlp(Mlp):
    r"""Dense layers, each with a second one that says how much of a unit passes.

    .. math:: h_l = (W_l h_{l-1} + b_l) \odot \sigma(V_l h_{l-1} + c_l), \quad h_0 = x

    Both maps of a layer are one matrix, whose first half is W and second half V.

    Parameters
    ----------
    hidden
        Widths of the encoder's hidden layers, from the observation inwards.
    decoder_hidden
        Widths of the decoder's hidden layers, from the code outwards; by default the encoder's,
        reversed.
    norm
        Of both maps, before the gate: ``layer``, ``batch`` or none, as for ``mlp``.
    dropout
        Share of hidden units that are set to 0 at each training step, after the gate.
    skip
        Whether every layer of the decoder reads the code, as for ``mlp``.

    References
    ----------
    Van den Oord et al. 2016, section 2.2, arXiv:1606.05328, and Dauphin et al. 2017,
    arXiv:1612.08083; as ``GatedDense`` of Tomczak & Welling 2018, arXiv:1705.07120, has it

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import GatedMlp
    >>> encoder, features = GatedMlp(hidden=[300, 300]).encoder((1, 28, 20))
    >>> x = torch.rand(5, 1, 28, 20)
    >>> encoder(x).shape, features
    (torch.Size([5, 300]), 300)
    >>> flatten, linear, gate, *_ = encoder
    >>> w, v = linear(flatten(x)).chunk(2, -1)
    >>> torch.allclose(gate(linear(flatten(x))), w * torch.sigmoid(v))
    True
    """

    def __init__(
        self,
        *,
        hidden: list[Annotated[int, Field(gt=0)]] = [300, 300],  # noqa: B006 - never changed
        decoder_hidden: list[Annotated[int, Field(gt=0)]] | None = None,
        norm: Norm = None,
        dropout: Dropout = 0.0,
        skip: Skip = False,
    ) -> None:
        super().__init__(
            hidden=hidden, decoder_hidden=decoder_hidden, norm=norm, dropout=dropout, skip=skip
        )

    def _hidden(self, inputs: int, outputs: int) -> list[nn.Module]:
        return dense(inputs, 2 * outputs, nn.GLU(), self.norm, self.dropout)
