"""Pairs of training data that share all factors but some: what weak supervision knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb, log, prod

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Given
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.splits import uniform
from pyrovae.datasets.streamed import Streamed

#: Of the choice of partners: the same for every run of a data set.
_STREAM = (0, 0x9A12)
#: Sets of factors that may change, at most.
_MOST_SETS = 4096
#: What keeps a uniform number of 53 bits from 0, half of the distance of two.
_HALF = 2.0**-54
#: Pairs of more bytes are put together minibatch by minibatch.
_IN_MEMORY = 2**28


@dataclass(frozen=True)
class Pairs:
    """Pairs of a data set's training data.

    Attributes
    ----------
    first, second
        Their numbers, ``(m,)``.
    shared
        Which factors both have in common, ``(m, n_factors)``, ``bool``.
    """

    first: np.ndarray
    second: np.ndarray
    shared: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def observations(self, dataset: Dataset) -> Given:
        """Return what minibatches are taken from: pairs ``(m, 2, *event_shape)``.

        The context is which factors are shared, as 0 and 1. Large ones are put together when they
        are asked for.
        """
        values = (dataset.train if dataset.grey is None else dataset.grey).values
        read = _Together(values, self.first, self.second)
        event = (2, *dataset.event_shape)
        lazy = isinstance(values, Streamed) or (
            len(self) * prod(event) * values.dtype.itemsize > _IN_MEMORY
        )
        x: Tensor | Streamed
        if lazy:
            rows = torch.arange(len(self))
            x = Streamed(read, rows, event, values.dtype, values.device)
        else:
            x = read(np.arange(len(self)))
        return Given(x, torch.from_numpy(self.shared.astype(np.float32)))


@dataclass(frozen=True)
class _Together:
    values: Tensor | Streamed
    first: np.ndarray
    second: np.ndarray

    def __call__(self, index: np.ndarray) -> Tensor:
        return torch.stack([self.values[self.first[index]], self.values[self.second[index]]], 1)


def refusal(dataset: Dataset, changing: int | None) -> str | None:
    """Return why a data set has no such pairs, or ``None`` if it may have some."""
    if dataset.train.factors is None:
        return (
            f"needs pairs that share factors, and data set '{dataset.name}' has no factors: "
            "labels_as_factors makes some of labels"
        )
    d = dataset.train.factors.shape[1]
    if d < 2 or (changing or 1) >= d:
        return (
            f"needs pairs that share some of the factors, and of the {d} of data set "
            f"'{dataset.name}' {changing or 1} may change"
        )
    sets = comb(d, changing) if changing else 2**d - 2
    if sets > _MOST_SETS:
        return f"{sets:,} sets of the {d} factors may change: at most {_MOST_SETS:,} are tried"
    return None


def pairs_of(dataset: Dataset, *, changing: int | None = 1, partners: int = 1) -> Pairs:
    """Return pairs of training data that agree on all factors but some, which are drawn.

    For each datum a set of factors is drawn, each of its size alike, and then one of the other data
    that agree on all factors outside of it, so that both may still agree on some inside, as in the
    original. Sets that no other datum is left with are not drawn; a datum of which that is true of
    all has no pair.

    Parameters
    ----------
    dataset
        With two factors or more.
    changing
        How many factors may change; ``None`` draws their number, from 1 to all but one.
    partners
        Pairs that each datum is the first of.

    Raises
    ------
    ConfigError
        If there are no such pairs.

    References
    ----------
    Locatello et al. 2020, sec. 3 and 5, arXiv:2002.02886

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("grammar", n_train=2000, n_test=100)
    >>> pairs = pairs_of(data, changing=2)
    >>> bool((pairs.shared.sum(1) >= 5).all())  # of 7 factors
    True
    """
    reason = refusal(dataset, changing)
    if reason:
        raise ConfigError(reason)
    factors = dataset.train.factors
    assert factors is not None
    n, d = factors.shape
    places = [_Places.of(factors, open_) for open_, _ in _sets(d, changing)]
    weights = np.array([weight for _, weight in _sets(d, changing)])
    able = np.stack([place.size > 1 for place in places], 1)
    having = np.flatnonzero(able.any(1))
    if not len(having):
        raise ConfigError(f"no two training data of '{dataset.name}' share factors so")
    bits = np.random.PCG64(np.random.SeedSequence(_STREAM))

    first, second = [], []
    for _ in range(partners):
        # The largest of independent Gumbel variables, moved by log weights, is a draw by weights.
        noise = uniform(bits, n, len(places)) + _HALF
        score = np.where(able, weights - np.log(-np.log(noise)), -np.inf)
        chosen, share = score.argmax(1), uniform(bits, n) + _HALF
        partner = np.zeros(n, np.int64)
        for number, place in enumerate(places):
            rows = having[chosen[having] == number]
            partner[rows] = place.another(rows, share[rows])
        first.append(having)
        second.append(partner[having])
    a, b = np.concatenate(first), np.concatenate(second)
    return Pairs(a, b, factors[a] == factors[b])


def _sets(d: int, changing: int | None) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield each set of factors that may change, with the logarithm of its weight."""
    for k in [changing] if changing else range(1, d):
        for chosen in combinations(range(d), k):
            yield chosen, -log(comb(d, k))


@dataclass(frozen=True)
class _Places:
    """Where each datum stands among those that agree on all factors outside of a set.

    Attributes
    ----------
    order
        Data in an order in which those that agree stand beside each other, ``(n,)``.
    start, rank, size
        For each datum: where those that agree with it begin, which of them it is, and how many
        there are, itself among them.
    """

    order: np.ndarray
    start: np.ndarray
    rank: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, factors: np.ndarray, open_: tuple[int, ...]) -> _Places:
        fixed = np.delete(factors, open_, axis=1)
        _, group, counts = np.unique(fixed, axis=0, return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        order = np.argsort(group, kind="stable")
        start = (np.cumsum(counts) - counts)[group]
        rank = np.empty(len(group), np.int64)
        rank[order] = np.arange(len(group))
        return cls(order, start, rank - start, counts[group])

    def another(self, rows: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Return one of the others for each of some data, by numbers in (0, 1)."""
        step = np.floor(share * (self.size[rows] - 1)).astype(np.int64)
        step += step >= self.rank[rows]
        found: np.ndarray = self.order[self.start[rows] + step]
        return found
