"""Sequences of tokens, by a recurrent network."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pyrovae.distributions.levels import Levels
from pyrovae.models.likelihoods.autoregressive import (
    Autoregressive,
    Entry,
    Sequence,
    logits_of,
    readout,
)
from pyrovae.models.likelihoods.base import LIKELIHOODS
from pyrovae.models.networks.recurrence import STATES, Cell, CellName

_Width = Annotated[int, Field(gt=0)]


@LIKELIHOODS.register("recurrent")
class Recurrent(Autoregressive):
    r"""Tokens one after the other, by a GRU or LSTM that has read those before.

    .. math:: P(x \mid z) = \prod_t P(x_t \mid h_t), \quad h_t = f(h_{t-1}, x_{t-1}, a(z))

    The decoder gives one vector a(z). Observations are whole numbers from 0 to ``levels`` - 1, as
    ``text``, ``grammar`` and text files have them; of images the elements in row-major order.

    Parameters
    ----------
    event_shape
        Shape of one observation: ``(t,)`` for sequences.
    levels
        Size of the vocabulary, what fills and ends sequences included.
    cell
        ``gru`` or ``lstm``.
    hidden, embedding
        Widths of the state and of a token's vector.
    features
        Numbers that the decoder gives.
    z
        Where a(z) enters: the state before the first step (``start``), what is read at ``each``
        step and the readout of each (a skip connection), or ``both``.
    word_dropout
        Share of tokens that are hidden, in training, from the steps after them.
    ends
        Whether 0 ends a sequence: it counts as a token, and what fills the rest is certain. So a
        datum's length is part of the datum.

    References
    ----------
    Bowman et al. 2016, sec. 2-3, arXiv:1511.06349; z at each step: Dieng et al. 2019,
    arXiv:1807.04863

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Recurrent
    >>> likelihood = Recurrent((6,), levels=9, features=4)
    >>> likelihood.output_shape
    (1, 4)
    >>> p = likelihood(torch.zeros(5, 1, 4))
    >>> p.batch_shape, p.event_shape, p.sample((2,)).shape
    (torch.Size([5]), torch.Size([6]), torch.Size([2, 5, 6]))
    >>> p.log_prob(torch.tensor([3.0, 0, 7, 0, 0, 0])).exp()  # nothing follows an end
    tensor([0., 0., 0., 0., 0.], grad_fn=<ExpBackward0>)
    """

    tokens = True

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        levels: Annotated[int, Field(gt=1)] = 256,
        cell: Literal["gru", "lstm"] = "gru",
        hidden: _Width = 64,
        embedding: _Width = 32,
        features: _Width = 32,
        z: Entry = "both",
        word_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0,
        ends: bool = True,
    ) -> None:
        super().__init__(event_shape, levels=levels, grey=False)
        self.ends, self._features = ends, features
        self.conditional = _Network(levels, cell, hidden, embedding, features, z, word_dropout)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One vector."""
        return (1, self._features)


class _Network(Sequence):
    def __init__(
        self,
        levels: int,
        cell: CellName,
        hidden: int,
        embedding: int,
        features: int,
        z: Entry,
        word_dropout: float,
    ) -> None:
        super().__init__(levels, embedding, word_dropout)
        self.first = nn.Parameter(torch.randn(embedding))
        self.cell = Cell(cell, embedding, hidden)
        self.readout = readout(hidden, levels)
        if z in ("start", "both"):
            self.at_start = nn.Linear(features, STATES[cell] * hidden)
        if z in ("each", "both"):
            self.at_read = nn.Linear(features, self.cell.read.out_features, bias=False)
            self.at_readout = nn.Linear(features, self.readout.out_features, bias=False)
        self._starts, self._skips = z != "each", z != "start"

    def _begin(self, given: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Return the first state, and what the code adds to each input and each readout."""
        state = self.cell.start(given)
        if self._starts:
            state = self.at_start(given).tanh().chunk(len(state), -1)
        if not self._skips:
            return state, given.new_zeros(()), given.new_zeros(())
        return state, self.at_read(given), self.at_readout(given)

    def _first(self, n: int) -> Tensor:
        return self.first.expand(n, 1, -1)

    def outputs(self, given: Tensor, x: Tensor) -> Tensor:
        state, read, out = self._begin(given)
        if self._skips:
            read, out = read.unsqueeze(1), out.unsqueeze(1)
        before = torch.cat([self._first(len(x)), self.embedded(x[:, :-1])], 1)
        return self.readout(self.cell(self.cell.read(before) + read, state)) + out

    def drawn(self, given: Tensor, u: Tensor) -> Tensor:
        state, read, out = self._begin(given)
        last, tokens = self._first(len(u)), []
        for uniform in u.unbind(1):
            state = self.cell.step(self.cell.read(last.squeeze(1)) + read, state)
            logits = logits_of(self.readout(state[0]) + out)
            tokens.append(Levels(logits, unit=False).icdf(uniform))
            last = self.embedded(tokens[-1].unsqueeze(1))
        return torch.stack(tokens, 1)
