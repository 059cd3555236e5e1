"""What every data set hands to the rest: its splits, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.given import Given
from pyrovae.datasets.streamed import Streamed, blocks

if TYPE_CHECKING:
    from pyrovae.datasets.context import Columns

_Values = TypeVar("_Values", Tensor, Given)


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes
    ----------
    values
        Shape ``(n, *event)``. ``uint8`` images stand for ``values / 255``; anything else is
        ``float32`` and taken as it is. What is large may stay in its file.
    factors
        Ground-truth factor indices, shape ``(n, n_factors)``, ``int64``; ``None`` where unknown.
    labels
        What else is known of each observation, as it was given, by name: whole numbers (``int64``),
        real ones (``float64``) or words, ``(n,)`` each. Factors whose values are known, not only
        their indices, are here too.
    context
        What programs are given of each observation, ``(n, k)``, ``float32``
        (:mod:`pyrovae.datasets.context`); ``None`` for data that are taken without.
    """

    values: Tensor | Streamed
    factors: np.ndarray | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    context: Tensor | None = None

    def __post_init__(self) -> None:
        if isinstance(self.values, Streamed):
            return
        # A dimension of size 1 may have any stride. That of a single channel decides whether a
        # compiled convolution takes images for channels-last: here it is always the usual one.
        values = torch.as_tensor(self.values)
        usual = values.reshape(-1).view(values.shape)
        object.__setattr__(self, "values", usual)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: slice | np.ndarray) -> Split:
        """Return some of the observations with all that is known of them."""
        values = self.values
        return Split(
            values.narrowed(index) if isinstance(values, Streamed) else values[index],
            None if self.factors is None else self.factors[index],
            {name: column[index] for name, column in self.labels.items()},
            None if self.context is None else self.context[index],
        )

    def floats(self, index: slice | Tensor | np.ndarray | None = None) -> Any:
        """Return the observations as ``float32``, images scaled to [0, 1].

        A tensor, or :class:`pyrovae.core.given.Given` where they have a context.
        """
        chosen = slice(None) if index is None else index
        x = as_float(self.values[chosen])
        return x if self.context is None else Given(x, self.context[chosen].to(x.device))


@dataclass(frozen=True)
class Dataset:
    """A named data set, ready to train on.

    Attributes
    ----------
    train, test, validation
        The splits; ``test`` and ``validation`` are never trained on. ``validation``, which decides
        when to stop and which model is kept, is ``None`` unless it is asked for
        (:mod:`pyrovae.datasets.common`) or the data have one of their own.
    factor_names, factor_sizes
        Of the ground-truth factors, in the order of ``Split.factors``' columns; empty if unknown.
    exact
        For simulated data, the parameters that made it (``linear_gaussian``: ``loading``, ``mean``,
        ``noise_scale``); empty otherwise.
    grey
        What training draws binary values from, anew in each minibatch, where ``train`` is one fixed
        draw of it (``binarize: dynamic``); else ``None``.
    vocabulary
        Of text: what the whole numbers that are observed stand for.
    about
        What else decides which data these are (labels of the user's own, the vocabulary), as a
        digest.
    columns
        The labels and covariates that the splits' contexts are made of; ``None`` without.

    Licence and homepage, which ``pyrovae list datasets`` shows, are in
    :data:`pyrovae.datasets.sources.SOURCES`.
    """

    name: str
    train: Split
    test: Split
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    exact: dict[str, Tensor] = field(default_factory=dict)
    validation: Split | None = None
    grey: Split | None = None
    vocabulary: tuple[str, ...] = ()
    about: str = ""
    columns: Columns | None = None

    @property
    def trained_on(self) -> Tensor | Streamed | Given:
        """What minibatches are taken from."""
        split = self.train if self.grey is None else self.grey
        return split.values if split.context is None else Given(split.values, split.context)

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that there are, by name."""
        splits = {"train": self.train, "test": self.test}
        return splits if self.validation is None else splits | {"validation": self.validation}

    @property
    def held_out(self) -> Split:
        """The split that may decide something along training: never trained on, seldom ``test``."""
        return self.test if self.validation is None else self.validation

    def each(self, change: Callable[[Split], Split]) -> Dataset:
        """Return the data set with every split changed."""
        parts = self.splits if self.grey is None else self.splits | {"grey": self.grey}
        changed: dict[str, Any] = {name: change(split) for name, split in parts.items()}
        return replace(self, **changed)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation: ``(channels, height, width)`` for images, else ``(d,)``."""
        return tuple(self.train.values.shape[1:])

    def outside_unit(self) -> tuple[str, list[int], float] | None:
        """Return the first value that is not in [0, 1]: its split, index and itself."""
        for which, split in self.splits.items():
            if split.values.dtype == torch.uint8:
                continue
            for start, block in blocks(split.values):
                outside = (block < 0) | (block > 1)
                if outside.any():
                    index = [int(i) for i in outside.nonzero()[0]]
                    return which, [start + index[0], *index[1:]], float(block[tuple(index)])
        return None

    @property
    def fingerprint(self) -> str:
        """sha256 over all splits' bytes, shapes and types: part of a run's identity."""
        digest = hashlib.sha256()
        for split in (*self.splits.values(), *([] if self.grey is None else [self.grey])):
            digest.update(f"{split.values.dtype}{tuple(split.values.shape)}".encode())
            for _, block in blocks(split.values):
                digest.update(np.ascontiguousarray(block.numpy()).data)
            if split.factors is not None:
                digest.update(np.ascontiguousarray(split.factors).data)
        digest.update(self.about.encode())
        for split in self.splits.values():
            if split.context is not None:
                digest.update(np.ascontiguousarray(split.context.numpy()).data)
        return digest.hexdigest()


def as_float(values: _Values) -> _Values:
    """Scale ``uint8`` to [0, 1]; leave floats, and a context, alone."""
    if isinstance(values, Given):
        return Given(as_float(values.x), values.context)
    return values.to(torch.float32) / 255 if values.dtype == torch.uint8 else values
