"""Data sets of the user's own: what a function of theirs returns, made a :class:`Dataset`.

``dataset: {name: "my_data:load", size: 32}`` calls ``load(size=32)`` of ``my_data.py``. It returns
one of

- an array or tensor of observations,
- a tuple of observations and factors (labels, say): ``(n,)`` or ``(n, k)``, or columns by name,
- a map-style :class:`torch.utils.data.Dataset` or list of such observations or pairs,
- a :class:`pyrovae.datasets.Dataset`, which has its own splits.

Observations are vectors ``(n, d)``, grey images ``(n, h, w)`` or images ``(n, channels, h, w)``;
:mod:`pyrovae.datasets.observed` says what their values are taken as, and
:func:`pyrovae.datasets.labels.indices` how factors become indices. The factors' own values are kept
as labels.

A fifth of the observations, chosen at random and always the same, is for testing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sized
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError, DataError, PyrovaeError, first_line
from pyrovae.core.registry import parameters_of, resolved
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import made, with_common
from pyrovae.datasets.labels import named
from pyrovae.datasets.observed import as_array, observations, read
from pyrovae.datasets.splits import split_dataset, with_a_fifth_to_test
from pyrovae.datasets.streamed import Streamed

#: Of the fixed split.
_SEED = 0


def resolve(name: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the parameters of a user's function and fill in its defaults.

    Returns
    -------
    dict
        ``name`` and every parameter. Its source is not among them: the data that it returns decide
        a run's identity, by their fingerprint.

    Raises
    ------
    ConfigError
        If there is no such function, or it refuses a parameter.
    """
    function = dotted.load(name)
    try:
        by_position = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        ]
        model = parameters_of(function, "dataset")
    except Exception as failure:
        raise ConfigError(f"parameters of '{name}' cannot be told: {first_line(failure)}") from None
    if by_position or "name" in model.model_fields:
        odd = by_position[0] if by_position else "name"
        hint = "put a * in front of it" if by_position else "call it something else"
        raise ConfigError(f"'{name}' has a parameter '{odd}' that no study can set: {hint}")
    return {
        "name": name,
        **resolved(with_common(model), dict(parameters), f"data set '{name}'"),
    }


def load(name: str, parameters: Mapping[str, Any]) -> Dataset:
    """Call a user's function and return what it gives as a data set.

    Raises
    ------
    DataError
        If it raises anything, or returns what this module does not say.
    """
    given = resolve(name, parameters)
    del given["name"]
    function = dotted.load(name)
    return made(
        lambda **values: called(name, function, values), parameters_of(function, "dataset"), given
    )


def called(name: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Dataset:
    """Call a stranger's function with resolved parameters; as :func:`load`."""
    try:
        returned = function(**parameters)
    except PyrovaeError:
        raise
    except (Exception, SystemExit) as failure:
        raise DataError(f"{name} raises {dotted.told(failure)}") from failure
    try:
        return as_dataset(name, returned)
    except DataError as refusal:
        raise DataError(f"{name} returns {refusal}") from refusal.__cause__


def as_dataset(name: str, returned: Any) -> Dataset:
    """Return what a user's function gave as a data set.

    Raises
    ------
    DataError
        With the index of the first value that cannot be; its message follows "returns".
    """
    if isinstance(returned, Dataset):
        return _checked(name, returned)
    values, factors = _observations_and_factors(returned)
    observed = read(values)
    n_train, n_test = with_a_fifth_to_test(len(observed))
    labels = {} if factors is None else named(factors, len(observed))
    return split_dataset(
        name, observed, n_train=n_train, n_test=n_test, seed=_SEED, labels=labels, factors=[*labels]
    )


def _checked(name: str, dataset: Dataset) -> Dataset:
    """Return a data set that keeps the promises of its class, or say which it breaks."""
    splits: dict[str, Any] = {}
    for which, split in dataset.splits.items():
        try:
            stays = isinstance(split.values, Streamed)
            values = split.values if stays else observations(split.values)
            factors = split.factors
            if factors is not None:
                factors = _whole(as_array(factors), len(values))
                if factors.dtype.kind == "U":
                    raise DataError("factors that are words: must be indices from 0")
                factors = factors.astype(np.int64)
            labels = named(split.labels, len(values), what="label")
        except DataError as refusal:
            raise DataError(f"in '{which}' {refusal}") from refusal.__cause__
        splits[which] = Split(values, factors, labels)
    train = splits["train"]
    k = 0 if train.factors is None else train.factors.shape[1]
    if len(dataset.factor_names) not in (0, k):
        raise DataError(f"factors that differ in number: {k} of 'train'")
    for which, split in splits.items():
        ours, theirs = train.values, split.values
        if (ours.shape[1:], ours.dtype) != (theirs.shape[1:], theirs.dtype):
            raise DataError(
                f"splits that differ: {_said(ours)} in 'train', {_said(theirs)} in '{which}'"
            )
        if [*train.labels] != [*split.labels]:
            raise DataError("labels of one split and not of the other")
        if (train.factors is None) != (split.factors is None):
            raise DataError("factors of one split and not of the other")
        if split.factors is not None and split.factors.shape[1] != k:
            raise DataError(f"factors that differ in number: {k} of 'train'")
    return replace(dataset, name=name, **splits)


def _observations_and_factors(returned: Any) -> tuple[Any, Any]:
    if returned is None:
        raise DataError("nothing: is there a 'return'?")
    if isinstance(returned, tuple):
        if len(returned) != 2:
            raise DataError(f"a tuple of {len(returned)}: must be observations and factors")
        return returned
    if isinstance(returned, Tensor) or hasattr(returned, "__array__"):
        return returned, None
    items = hasattr(returned, "__getitem__") and isinstance(returned, Sized)
    if items and not isinstance(returned, str | bytes | Mapping):
        return _collected(returned)
    raise DataError(
        f"{type(returned).__name__}: must be an array, a tensor, a pair of observations and "
        "factors, or a data set"
    )


def _collected(items: Any) -> tuple[Any, Any]:
    """Return the observations, and the factors where there are any, of a map-style data set."""
    values: list[np.ndarray] = []
    factors: list[np.ndarray] = []
    for i in range(len(items)):
        try:
            item = items[i]
        except (Exception, SystemExit) as failure:
            raise DataError(f"items of which [{i}] raises {dotted.told(failure)}") from failure
        paired = isinstance(item, tuple) and len(item) == 2
        value, factor = item if paired else (item, None)
        values.append(as_array(value))
        if values[i].shape != values[0].shape:
            raise DataError(
                f"items of different shapes: {values[0].shape} at [0], {values[i].shape} at [{i}]"
            )
        if factor is not None:
            factors.append(as_array(factor))
        if len(factors) not in (0, i + 1) or (factors and factors[i].shape != factors[0].shape):
            raise DataError(f"items of which [{i}] has other factors than [0]")
    if not values:
        raise DataError("no observations")
    return np.stack(values), np.stack(factors) if factors else None


def _whole(values: np.ndarray, n: int) -> np.ndarray:
    """Return factors of shape ``(n, k)``: whole numbers, or words."""
    if values.dtype.kind not in "buifU":
        raise DataError(f"factors of {values.dtype}: must be whole numbers or words")
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise DataError(f"factors of shape {values.shape}: must be (n,) or (n, k)")
    if len(values) != n:
        raise DataError(f"factors of {len(values)} observations, and {n} observations")
    if values.dtype.kind == "f":
        odd = np.argwhere(values != np.round(values))  # NaN is among them
        if len(odd):
            first = tuple(int(i) for i in odd[0])
            raise DataError(f"a factor {values[first]} at {list(first)}: must be whole numbers")
    return values.reshape(n, -1)


def _said(values: Tensor | Streamed) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"
