"""Labels and covariates as numbers that programs are given: the context of each datum.

A column of words, or of whole numbers, becomes one number for each value that it takes in the
training data: 1 for its own, 0 for the others, in rising order of values. A column of real numbers,
or of more than :data:`MOST` whole ones, becomes one number: less the training data's mean, divided
by their standard deviation. Test and validation data are encoded by what the training data say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError, DataError, did_you_mean
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.labels import named

#: Whole numbers of more values than this count as real ones.
MOST = 100
#: Words of more values than this are no classes.
_MOST_WORDS = 1000
#: Values that a message shows at most.
_SHOWN = 12


@dataclass(frozen=True)
class Column:
    """One label or covariate, as the training data have it.

    Attributes
    ----------
    name
        Of the label, factor or covariate.
    values
        What it can be, rising: words or whole numbers; empty for a real number.
    mean, scale
        Of a real number in the training data.
    """

    name: str
    values: tuple[str, ...] | tuple[int, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Numbers that it becomes."""
        return len(self.values) or 1

    def encode(self, column: np.ndarray, what: str = "") -> np.ndarray:
        """Return the column as numbers, ``(n, size)``.

        Raises
        ------
        DataError
            For a value that is missing, or that the training data lack, with its place.
        """
        where = f" of {what}" if what else ""
        if not self.values:
            if column.dtype.kind not in "if":
                raise DataError(f"{self.name!r}{where} holds words: must be numbers")
            return ((column.astype(np.float64) - self.mean) / self.scale)[:, None]
        # NumPy makes words of numbers that are compared with words: 3 is no '3'.
        known: list[Any] = list(self.values)
        place = {value: i for i, value in enumerate(known)}
        found = [place.get(value, -1) for value in column.tolist()]
        odd = next((i for i, at in enumerate(found) if at < 0), None)
        if odd is not None:
            told = "no value" if column[odd] == "" else repr(column.tolist()[odd])
            raise DataError(
                f"{self.name!r}{where} holds {told} at [{odd}], which the training data lack: "
                f"known: {self.told()}"
            )
        return np.eye(len(known))[found]

    def told(self) -> str:
        """Return in words what it can be."""
        if not self.values:
            return "numbers"
        more = ", …" if len(self.values) > _SHOWN else ""
        return ", ".join(map(str, self.values[:_SHOWN])) + more

    def parsed(self, text: str) -> Any:
        """Return the value that is written so.

        Raises
        ------
        DataError
            If there is none.
        """
        if self.values:
            found = next((value for value in self.values if str(value) == text), None)
            if found is None:
                raise DataError(f"{self.name!r} cannot be {text!r}: known: {self.told()}")
            return found
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not np.isfinite(number):
            raise DataError(f"{self.name!r} must be a finite number, got {text!r}")
        return number


@dataclass(frozen=True)
class Columns:
    """The labels and covariates that a model is given, in their order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def size(self) -> int:
        """Numbers of a context."""
        return sum(column.size for column in self.columns)

    @classmethod
    def learn(cls, known: Mapping[str, np.ndarray], on: Sequence[str], whose: str) -> Columns:
        """Return what the training data say of some columns.

        Parameters
        ----------
        known
            All that is known of the training data, by name, ``(n,)`` each.
        on
            The columns that are asked for.
        whose
            What the data are called in messages.

        Raises
        ------
        ConfigError
            For a column that is not known (its place is its number), or that cannot be given.
        """
        if not known:
            raise ConfigError(f"{whose} has no labels, factors or covariates to be given")
        made = []
        for i, name in enumerate(on):
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(f"{whose} has no label or factor {name!r}{hint}", f"[{i}]")
            try:
                made.append(_learnt(name, known[name]))
            except DataError as refusal:
                raise ConfigError(f"{whose}: {refusal}", f"[{i}]") from None
        return cls(tuple(made))

    def context(self, labels: Any, n: int, what: str = "") -> Tensor:
        """Return the context of ``n`` data, ``(n, size)``.

        Parameters
        ----------
        labels
            By name, ``(n,)`` each or one value for all; of a single column its values alone.
        n
            Of the data.
        what
            What these data are called in messages.

        Raises
        ------
        DataError
            For a column that is missing, of another length, or with a value that cannot be.
        """
        where = f" of {what}" if what else ""
        if hasattr(labels, "columns"):
            labels = {str(name): labels[name] for name in labels.columns}
        if not isinstance(labels, Mapping):
            if len(self.columns) > 1:
                told = ", ".join(self.names)
                raise DataError(f"the context{where} must have columns by name: {told}")
            labels = {self.names[0]: labels}
        parts = []
        for column in self.columns:
            if column.name not in labels:
                hint = did_you_mean(column.name, map(str, labels))
                raise DataError(f"the context{where} lacks {column.name!r}{hint}")
            value = labels[column.name]
            one = np.ndim(value) == 0 or isinstance(value, str)
            values = np.full(n, value) if one else value
            (taken,) = named({column.name: values}, n, what="label").values()
            parts.append(column.encode(taken, what))
        return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32))

    def content(self) -> list[dict[str, Any]]:
        """Return it as data for JSON."""
        return [
            {"name": c.name, "values": list(c.values)}
            if c.values
            else {"name": c.name, "mean": c.mean, "scale": c.scale}
            for c in self.columns
        ]

    @classmethod
    def of(cls, content: Iterable[Mapping[str, Any]]) -> Columns:
        """Return what :meth:`content` was made of."""
        return cls(
            tuple(Column(**{**each, "values": tuple(each.get("values", ()))}) for each in content)
        )


def _learnt(name: str, column: np.ndarray) -> Column:
    kind = column.dtype.kind
    if kind == "U":
        empty = np.flatnonzero(column == "")
        if len(empty):
            raise DataError(f"{name!r} has no value at [{empty[0]}]")
    elif kind not in "iu" and not np.isfinite(column).all():
        odd = int(np.flatnonzero(~np.isfinite(column))[0])
        raise DataError(f"{name!r} holds {column[odd]} at [{odd}]: must be a finite number")
    values = np.unique(column)
    if len(values) < 2:
        raise DataError(f"{name!r} is the same for all training data: nothing to be given")
    if kind == "U" and len(values) > _MOST_WORDS:
        raise DataError(f"{name!r} takes {len(values):,} values: at most {_MOST_WORDS:,} words")
    if kind == "f" or (kind != "U" and len(values) > MOST):
        numbers = column.astype(np.float64)
        return Column(name, mean=float(numbers.mean()), scale=float(numbers.std()))
    return Column(name, tuple(values.tolist()))


def known_of(dataset: Dataset, split: Split) -> dict[str, np.ndarray]:
    """Return all that is known of a split's data, by name: labels, and factors that are none."""
    known = dict(split.labels)
    if split.factors is not None:
        names = dataset.factor_names or [f"factor_{i}" for i in range(split.factors.shape[1])]
        for name, column in zip(names, split.factors.T, strict=True):
            known.setdefault(name, column.astype(np.int64))
    return known


def learn(dataset: Dataset, on: Sequence[str]) -> Columns:
    """Return what a data set's training split says of some columns; see :meth:`Columns.learn`."""
    return Columns.learn(known_of(dataset, dataset.train), on, f"data set '{dataset.name}'")


def conditioned(dataset: Dataset, columns: Columns) -> Dataset:
    """Return a data set whose splits have a context.

    Raises
    ------
    DataError
        For a value that a split has and the training data lack, with its place.
    """
    splits: dict[str, Split] = {
        which: replace(
            split, context=columns.context(known_of(dataset, split), len(split), f"'{which}'")
        )
        for which, split in dataset.splits.items()
    }
    if dataset.grey is not None:
        splits["grey"] = replace(dataset.grey, context=splits["train"].context)
    changed: dict[str, Any] = splits
    return replace(dataset, **changed, columns=columns)
