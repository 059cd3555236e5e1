"""Sequences of tokens, by causal self-attention."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.levels import Levels
from pyrovae.models.likelihoods.autoregressive import (
    Autoregressive,
    Entry,
    Sequence,
    logits_of,
    readout,
)
from pyrovae.models.likelihoods.base import LIKELIHOODS

_Width = Annotated[int, Field(gt=0)]


@LIKELIHOODS.register("attention")
class Attention(Autoregressive):
    r"""Tokens one after the other, by a small transformer that looks back at those before.

    .. math:: P(x \mid z) = \prod_t P(x_t \mid x_1 \dots x_{t-1}, a(z))

    The decoder gives one vector a(z). Blocks normalise before attention and before their dense
    layers; positions have vectors that are learned.

    Parameters
    ----------
    event_shape
        Shape of one observation: ``(t,)`` for sequences; of images the elements in row-major order.
    levels
        Size of the vocabulary, what fills and ends sequences included.
    width, layers, heads
        Of the transformer; ``heads`` divide ``width``.
    features
        Numbers that the decoder gives.
    z
        Where a(z) enters: as the token before the first (``start``), added to ``each`` token's
        vector and to each readout, or ``both``.
    word_dropout
        Share of tokens that are hidden, in training, from those after them.
    ends
        Whether 0 ends a sequence: it counts as a token, and what fills the rest is certain.

    References
    ----------
    Vaswani et al. 2017, sec. 3.1-3.2, arXiv:1706.03762; as a VAE's decoder: Li et al. 2020
    (Optimus), sec. 3, arXiv:2004.04092

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Attention
    >>> likelihood = Attention((6,), levels=9, width=8, layers=1, heads=2, features=4)
    >>> p = likelihood(torch.zeros(5, 1, 4))
    >>> p.batch_shape, p.event_shape, p.sample((2,)).shape
    (torch.Size([5]), torch.Size([6]), torch.Size([2, 5, 6]))
    """

    tokens = True

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        levels: Annotated[int, Field(gt=1)] = 256,
        width: _Width = 64,
        layers: _Width = 2,
        heads: _Width = 4,
        features: _Width = 32,
        z: Entry = "both",
        word_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0,
        ends: bool = True,
    ) -> None:
        super().__init__(event_shape, levels=levels, grey=False)
        if width % heads:
            raise ConfigError(f"{heads} heads do not divide a width of {width}", "heads")
        self.ends, self._features = ends, features
        self.conditional = _Network(
            math.prod(event_shape), levels, width, layers, heads, features, z, word_dropout
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One vector."""
        return (1, self._features)


class _Block(nn.Module):
    """Attention to what came before, then two dense layers; each adds to what it is given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.look, self.think = nn.LayerNorm(width), nn.LayerNorm(width)
        # A bias of the keys would change nothing, and drift with rounding.
        self.asked = nn.Linear(width, 3 * width, bias=False)
        self.answer = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor) -> Tensor:
        """Return ``(n, t, width)``."""
        n, t, width = h.shape
        parts = self.asked(self.look(h)).reshape(n, t, 3, self.heads, width // self.heads)
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        ahead = torch.ones(t, t, dtype=torch.bool, device=h.device).triu(1)
        found = scores.masked_fill(ahead, -torch.inf).softmax(-1) @ value
        h = h + self.answer(found.transpose(1, 2).reshape(n, t, width))
        return h + self.dense(self.think(h))


class _Network(Sequence):
    def __init__(
        self,
        length: int,
        levels: int,
        width: int,
        layers: int,
        heads: int,
        features: int,
        z: Entry,
        word_dropout: float,
    ) -> None:
        super().__init__(levels, width, word_dropout)
        self._starts, self._skips = z != "each", z != "start"
        if self._starts:
            self.at_start = nn.Linear(features, width)
        else:
            self.first = nn.Parameter(torch.randn(width))
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.readout = readout(width, levels)
        if self._skips:
            self.at_each = nn.Linear(features, width, bias=False)
            self.at_readout = nn.Linear(features, self.readout.out_features, bias=False)

    def outputs(self, given: Tensor, x: Tensor) -> Tensor:
        return self._of(given, self.embedded(x[:, :-1]))

    def _of(self, given: Tensor, before: Tensor) -> Tensor:
        """Return what the readout gives, for tokens' vectors ``(n, t - 1, width)``."""
        n = len(given)
        first = self.at_start(given) if self._starts else self.first.expand(n, -1)
        h = torch.cat([first.unsqueeze(1), before], 1)
        h = h + self.places[: h.shape[1]]
        if self._skips:
            h = h + self.at_each(given).unsqueeze(1)
        for block in self.blocks:
            h = block(h)
        outputs: Tensor = self.readout(self.norm(h))
        return outputs + self.at_readout(given).unsqueeze(1) if self._skips else outputs

    def drawn(self, given: Tensor, u: Tensor) -> Tensor:
        before = self.embedded(u[:, :0])
        tokens: list[Tensor] = []
        for uniform in u.unbind(1):
            logits = logits_of(self._of(given, before)[:, -1])
            tokens.append(Levels(logits, unit=False).icdf(uniform))
            before = torch.cat([before, self.embedded(tokens[-1].unsqueeze(1))], 1)
        return torch.stack(tokens, 1)
