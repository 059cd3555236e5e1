"""Recurrent cells whose input is multiplied with its weights for all steps at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

CellName = Literal["gru", "lstm"]
#: Vectors that a cell makes of its input, and those that it hands on.
_GATES: dict[CellName, int] = {"gru": 3, "lstm": 4}
STATES: dict[CellName, int] = {"gru": 1, "lstm": 2}


class Cell(nn.Module):
    """A GRU (Cho et al. 2014, arXiv:1406.1078) or LSTM cell, with weights as torch has them.

    The loop over steps is in Python: it can be traced into a graph, vectorised over models and
    derived twice, which torch's fused cells cannot.

    Parameters
    ----------
    cell
        ``gru`` or ``lstm``.
    inputs, hidden
        Widths.
    """

    def __init__(self, cell: CellName, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell: CellName = cell
        self.hidden = hidden
        self.read = nn.Linear(inputs, _GATES[cell] * hidden)
        self.remember = nn.Linear(hidden, _GATES[cell] * hidden)

    def start(self, like: Tensor) -> tuple[Tensor, ...]:
        """Return the state before the first step, zeros ``(n, hidden)``."""
        return (like.new_zeros(like.shape[0], self.hidden),) * STATES[self.cell]

    def step(self, read: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the state after a step, whose output comes first.

        Parameters
        ----------
        read
            What :attr:`read` makes of the step's input, ``(n, gates × hidden)``.
        state
            Before it.
        """
        h, *memory = state
        kept = self.remember(h)
        if not memory:
            r, u, n = read.chunk(3, -1)
            r_kept, u_kept, n_kept = kept.chunk(3, -1)
            update = (u + u_kept).sigmoid()
            new = (n + (r + r_kept).sigmoid() * n_kept).tanh()
            return (new + update * (h - new),)
        i, f, g, o = (read + kept).chunk(4, -1)
        c = f.sigmoid() * memory[0] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        """Return the outputs of all steps, ``(n, t, hidden)``, of what :attr:`read` gave."""
        outputs = []
        for read in inputs.unbind(1):
            state = self.step(read, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1)
