"""Encoders of sequences of tokens."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pyrovae.models.networks.base import NETWORKS
from pyrovae.models.networks.image import OverBatch
from pyrovae.models.networks.recurrence import Cell

Reader = Literal["gru", "lstm", "mean", "conv"]
_Width = Annotated[int, Field(gt=0)]


@NETWORKS.register("tokens")
class Tokens:
    """Embeds tokens and reads them; its decoder is dense, for likelihoods that read on themselves.

    An observation is whole numbers from 0 to ``levels`` - 1. What stands behind the first 0, the
    end of a sequence, is not read.

    Parameters
    ----------
    levels
        Size of the vocabulary.
    embedding, hidden
        Widths of a token's vector, and of what is made of a sequence.
    reader
        ``gru`` or ``lstm``: the last state. ``mean``: of the tokens' vectors, whatever their order.
        ``conv``: the largest answers to three tokens in a row.
    ends
        Whether 0 ends a sequence; without, all tokens are read.

    References
    ----------
    Bowman et al. 2016, sec. 3, arXiv:1511.06349; mean: Iyyer et al. 2015,
    doi:10.3115/v1/P15-1162; conv: Kim 2014, arXiv:1408.5882

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.networks import Tokens
    >>> network = Tokens(levels=9, hidden=16)
    >>> encoder, features = network.encoder((6,))
    >>> encoder(torch.tensor([[3.0, 5, 0, 0, 0, 0]])).shape, features
    (torch.Size([1, 16]), 16)
    >>> network.decoder(3, (32,), outputs_per_element=1)(torch.zeros(5, 3)).shape
    torch.Size([5, 1, 32])
    """

    #: A vector is asked of its decoder.
    reads_vectors = True
    #: No context fits between tokens.
    reads_tokens = True

    def __init__(
        self,
        *,
        levels: Annotated[int, Field(gt=1)] = 256,
        embedding: _Width = 32,
        hidden: _Width = 64,
        reader: Reader = "gru",
        ends: bool = True,
    ) -> None:
        self.levels, self.embedding, self.hidden = levels, embedding, hidden
        self.reader: Reader = reader
        self.ends = ends

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the encoder and the width of what it makes of a sequence."""
        read = _Encoder(self.levels, self.embedding, self.hidden, self.reader, self.ends)
        return OverBatch(read, event_dims=len(event_shape)), self.hidden

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return one hidden layer, and the last."""
        shape = (outputs_per_element, *event_shape)
        return nn.Sequential(
            nn.Linear(latent_dim, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, math.prod(shape)),
            nn.Unflatten(-1, shape),
        )


class _Encoder(nn.Module):
    def __init__(
        self, levels: int, embedding: int, hidden: int, reader: Reader, ends: bool
    ) -> None:
        super().__init__()
        self.levels, self.reader, self.ends = levels, reader, ends
        self.embed = nn.Embedding(levels, embedding)
        if reader in ("gru", "lstm"):
            self.cell = Cell("gru" if reader == "gru" else "lstm", embedding, hidden)
        elif reader == "conv":
            self.conv = nn.Conv1d(embedding, hidden, 3, padding=1)
        else:
            self.dense = nn.Linear(embedding, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, hidden)`` of tokens ``(n, *event_shape)``."""
        tokens = x.flatten(1).round().long().clamp(0, self.levels - 1)
        vectors = self.embed(tokens)
        read = self._read(tokens)
        if self.reader == "mean":
            weight = read / read.sum(1, keepdim=True)
            return self.dense((vectors * weight.unsqueeze(-1)).sum(1)).relu()
        if self.reader == "conv":
            answers = self.conv((vectors * read.unsqueeze(-1)).movedim(1, 2)).relu()
            return (answers * read.unsqueeze(1)).amax(-1)
        states = self.cell(self.cell.read(vectors), self.cell.start(vectors[:, 0]))
        # That of the last token that is read.
        last = read - torch.cat([read[:, 1:], torch.zeros_like(read[:, :1])], 1)
        return (states * last.unsqueeze(-1)).sum(1)

    def _read(self, tokens: Tensor) -> Tensor:
        """Return 1 for the tokens up to the first end, that included, else 0."""
        if not self.ends:
            return torch.ones_like(tokens, dtype=self.embed.weight.dtype)
        end = (tokens == 0).long()
        return (end.cumsum(1) - end == 0).to(self.embed.weight.dtype)
