"""What every data set hands to the rest: splits of one tensor each, and what is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """One part of a data set, whole in memory.

    Attributes
    ----------
    values
        Shape ``(n, *event)``. ``uint8`` images stand for ``values / 255``; anything else is
        ``float32`` and taken as it is.
    factors
        Ground-truth factor indices, shape ``(n, n_factors)``, ``int64``; ``None`` where unknown.
    """

    values: Tensor
    factors: np.ndarray | None = None

    def __post_init__(self) -> None:
        # A dimension of size 1 may have any stride. That of a single channel decides whether a
        # compiled convolution takes images for channels-last: here it is always the usual one.
        values = torch.as_tensor(self.values)
        usual = values.reshape(-1).view(values.shape)
        object.__setattr__(self, "values", usual)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: slice | np.ndarray) -> Split:
        """Return some of the observations with all that is known of them."""
        return replace(
            self,
            values=self.values[index],
            factors=None if self.factors is None else self.factors[index],
        )

    def floats(self, index: slice | Tensor | np.ndarray | None = None) -> Tensor:
        """Return the observations as ``float32``, images scaled to [0, 1]."""
        return as_float(self.values if index is None else self.values[index])


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
        changed: dict[str, Any] = {name: change(split) for name, split in self.splits.items()}
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
            outside = (split.values < 0) | (split.values > 1)
            if outside.any():
                index = [int(i) for i in outside.nonzero()[0]]
                return which, index, float(split.values[tuple(index)])
        return None

    @property
    def fingerprint(self) -> str:
        """sha256 over all splits' bytes, shapes and types: part of a run's identity."""
        digest = hashlib.sha256()
        for split in self.splits.values():
            digest.update(f"{split.values.dtype}{tuple(split.values.shape)}".encode())
            digest.update(split.values.contiguous().numpy().tobytes())
            if split.factors is not None:
                digest.update(np.ascontiguousarray(split.factors).tobytes())
        return digest.hexdigest()


def as_float(values: Tensor) -> Tensor:
    """Scale ``uint8`` to [0, 1]; leave floats alone."""
    return values.to(torch.float32) / 255 if values.dtype == torch.uint8 else values
