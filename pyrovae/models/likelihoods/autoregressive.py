"""What likelihoods share that take an observation's elements one after the other."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from pyrovae.distributions.element_by_element import ElementByElement
from pyrovae.models.likelihoods.base import Likelihood
from pyrovae.models.likelihoods.support import Support, codes

#: Where the code enters a network that takes one token after the other.
Entry = Literal["start", "each", "both"]
#: What two levels on [0, 1] can be.
_BINARY = Support("values of 0 and 1", lambda x: (x == 0) | (x == 1))


class Autoregressive(Likelihood):
    """Base: p(x|z) = prod_i p(x_i | x_1 … x_{i-1}, z) by a network of the likelihood's own.

    A subclass sets :attr:`conditional`, which is called with what the decoder gives, as
    :class:`~pyrovae.distributions.element_by_element.ElementByElement` calls its network.

    Parameters
    ----------
    event_shape
        Shape of one observation.
    levels
        Values that an element can have.
    grey
        Whether they are k / (levels - 1), else the codes k.
    """

    shows = "draw"
    properties = frozenset()
    conditional: nn.Module
    #: Whether elements are tokens of a sequence, and whether 0 ends it.
    tokens = False
    ends = False

    def __init__(self, event_shape: tuple[int, ...], *, levels: int, grey: bool) -> None:
        super().__init__(event_shape)
        self.levels, self._grey = levels, grey
        grid: str | Support = _BINARY if levels == 2 else "unit"
        self.support = grid if grey else codes(levels)

    def forward(self, output: Tensor) -> ElementByElement:
        """Return the law, which has the decoder's output inside."""
        return ElementByElement(
            self.conditional,
            output,
            len(self.output_shape),
            self.event_shape,
            levels=self.levels,
            unit=self._grey,
            ends=self.ends,
        )

    def refusal(self, x: Tensor) -> tuple[list[int], str] | None:
        """Return the first value that is no level, or that stands behind a sequence's end."""
        found = super().refusal(x)
        if found is not None or not self.ends:
            return found
        flat = x.flatten(1)
        over = (flat == 0).long().cumsum(1) > 0
        beyond = (over & (flat != 0)).nonzero()
        if not len(beyond):
            return None
        datum, place = beyond[0].tolist()
        index = [datum, *(int(i) for i in torch.unravel_index(torch.tensor(place), x.shape[1:]))]
        return index, "sequences that end with their first 0 (ends: false lets 0 be a code)"

    def words(self, x: Tensor) -> Tensor | None:
        """Return how many tokens count in each sequence: those up to its end, that included."""
        if not self.tokens:
            return None
        flat = x.flatten(1)
        if not self.ends:
            return torch.full((len(x),), flat.shape[1], device=x.device)
        end = (flat == 0).long()
        return (end.cumsum(1) - end == 0).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return a draw of x, ``(*b, *event_shape)``: there is no mean without drawing."""
        return self(output).sample()


def readout(width: int, levels: int) -> nn.Linear:
    """Return the last layer of a network: see :func:`logits_of`."""
    return nn.Linear(width, 1 if levels == 2 else levels)


def logits_of(outputs: Tensor) -> Tensor:
    """Return a logit for each level, ``(*b, K)``; one output alone is that of a Bernoulli law."""
    if outputs.shape[-1] > 1:
        return outputs
    return torch.cat([torch.zeros_like(outputs), outputs], -1)


class Sequence(nn.Module):
    """Base of networks that take tokens one after the other, the elements in row-major order.

    Parameters
    ----------
    levels
        Number of tokens.
    embedding
        Width of a token's vector.
    word_dropout
        Share of the tokens that are hidden, in training, from those that come after them.
    """

    def __init__(self, levels: int, embedding: int, word_dropout: float) -> None:
        super().__init__()
        self.levels, self.word_dropout = levels, word_dropout
        # Behind the tokens' vectors that of a token which is hidden.
        self.embed = nn.Embedding(levels + 1, embedding)

    def embedded(self, x: Tensor) -> Tensor:
        """Return the vectors of tokens ``(n, t)``, some of which are hidden: ``(n, t, width)``."""
        tokens = x.round().long().clamp(0, self.levels - 1)
        if self.training and self.word_dropout > 0:
            hidden = torch.rand(x.shape, device=x.device) < self.word_dropout
            tokens = torch.where(hidden, self.levels, tokens)
        found: Tensor = self.embed(tokens)
        return found

    def forward(self, given: Tensor, x: Tensor | None = None, *, u: Any = None) -> Tensor:
        """Return logits ``(n, *event, K)`` of ``x``, or draw x by uniform numbers ``u``."""
        given = given.squeeze(1)
        if x is not None:
            found = logits_of(self.outputs(given, x.flatten(1)))
            return found.reshape(*x.shape, found.shape[-1])
        return self.drawn(given, u.flatten(1)).reshape(u.shape)

    def outputs(self, given: Tensor, x: Tensor) -> Tensor:
        """Return what the readout gives for each token of ``(n, t)``, given those before it."""
        raise NotImplementedError

    def drawn(self, given: Tensor, u: Tensor) -> Tensor:
        """Return tokens ``(n, t)``."""
        raise NotImplementedError
