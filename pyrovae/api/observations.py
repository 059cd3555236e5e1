"""Observations as Python has them: arrays, tensors and data sets, checked against the model."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pyrovae.core.errors import DataError
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.streamed import Streamed
from pyrovae.models.contract import LatentModel
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood


def observations(given: Any, event_shape: tuple[int, ...] | None, what: str = "x") -> Tensor:
    """Return observations ``(n, *event_shape)``, ``uint8`` for images in [0, 1], else ``float32``.

    ==================================  ==========================================
    values                              taken as
    ==================================  ==========================================
    booleans, 0 and 1 in whole numbers  0 and 1
    ``uint8``                           images: ``values / 255``
    anything else                       ``float32``, as they are
    ==================================  ==========================================

    Parameters
    ----------
    given
        An array, a tensor, or a map-style :class:`torch.utils.data.Dataset` of observations or of
        tuples that begin with one. Grey images ``(n, h, w)`` may lack the channel.
    event_shape
        Shape of one observation; ``None`` takes any.
    what
        What it is called in messages.

    Raises
    ------
    DataError
        For what holds no numbers, has another shape, or is not finite, with the first such place.
    """
    values = _array(given, what)
    if values.dtype.kind not in "buif":
        raise DataError(f"{what} holds {values.dtype}: must be real numbers")
    if values.ndim < 2 or 0 in values.shape:
        raise DataError(f"{what} has shape {values.shape}: must be one row for each observation")
    if event_shape is not None and values.shape[1:] != event_shape:
        if (1, *values.shape[1:]) != event_shape:
            raise DataError(
                f"{what} holds observations of shape {values.shape[1:]}, and the model is for "
                f"{event_shape}"
            )
        values = values[:, None]
    taken = _finite(values, what) if values.dtype.kind == "f" else _whole(values)
    return torch.from_numpy(np.ascontiguousarray(taken))


def of_model(vae: LatentModel, given: Any, what: str = "x") -> Tensor | Streamed:
    """Return :func:`observations` that a model can explain, at least two.

    Those of a data set that stay in their file still do.

    Raises
    ------
    DataError
        As there, for values that its likelihood is not for, and for a single one.
    """
    stays = isinstance(given, Streamed) and tuple(given.shape[1:]) == vae.event_shape
    values = explained(vae, given if stays else observations(given, vae.event_shape, what), what)
    if len(values) < 2:
        raise DataError(f"{what} holds one observation: at least 2 are needed")
    return values


def measured(vae: LatentModel, x: Any, train: Any = None) -> Dataset:
    """Return data that a model is measured on: the test split, and what is known of training data.

    Parameters
    ----------
    vae
        The model.
    x
        As :func:`observations` takes them, or a data set, both of whose splits are taken.
    train
        What the model was trained on; without it that split is empty.

    Raises
    ------
    DataError
        As :func:`of_model`.
    """
    if not isinstance(x, Dataset):
        test = of_model(vae, x)
        known = test[:0] if train is None else of_model(vae, train, "train")
        return Dataset("x", Split(known), Split(test))
    test = of_model(vae, x.test.values)
    if train is not None:
        trained = Split(of_model(vae, train, "train"))
    else:
        trained = replace(x.train, values=of_model(vae, x.train.values, "train"))
    return replace(x, train=trained, test=replace(x.test, values=test))


def with_factors(dataset: Dataset, factors: Any) -> Dataset:
    """Return data with the ground-truth factors of the test split, where they are given.

    Parameters
    ----------
    dataset
        As :func:`measured` gives it.
    factors
        ``(n, k)`` or ``(n,)``, whole numbers; ``None`` leaves the data as they are.

    Raises
    ------
    DataError
        For factors of another number of observations, or that are no whole numbers.
    """
    if factors is None:
        return dataset
    values, n = as_array(factors), len(dataset.test)
    if values.ndim not in (1, 2) or len(values) != n:
        raise DataError(f"factors of shape {values.shape}: must be ({n}, k), a row an observation")
    if values.dtype.kind not in "buif" or (values != np.round(values)).any():
        raise DataError("factors must be whole numbers (bin real ones)")
    columns = values.reshape(n, -1).astype(np.int64)
    names = tuple(f"factor_{i}" for i in range(columns.shape[1]))
    return replace(
        dataset,
        train=Split(dataset.train.values, context=dataset.train.context),
        test=Split(dataset.test.values, columns, context=dataset.test.context),
        factor_names=names,
        factor_sizes=(),
    )


def as_array(given: Any) -> np.ndarray:
    """Return an array or a tensor, wherever it is, as an array."""
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)


def _array(given: Any, what: str) -> np.ndarray:
    if isinstance(given, Streamed):
        given = given[:]
    if isinstance(given, Tensor):
        values = given.detach().cpu()
        values = values.to_dense() if values.is_sparse else values
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if hasattr(given, "__array__"):
        return np.asarray(given)
    if isinstance(given, str | bytes | Mapping) or not (
        isinstance(given, Sized) and hasattr(given, "__getitem__")
    ):
        raise DataError(
            f"{what} must be an array, a tensor or a map-style torch Dataset, got "
            f"{type(given).__name__}"
        )
    items = []
    for i in range(len(given)):
        try:
            item = given[i]
        except Exception as failure:
            told = f"{type(failure).__name__}: {failure}".splitlines()[0]
            raise DataError(f"{what}[{i}] raises {told}") from failure
        first = item[0] if isinstance(item, tuple) and item else item
        items.append(np.asarray(_array(first, what) if isinstance(first, Tensor) else first))
        if items[i].shape != items[0].shape:
            raise DataError(
                f"{what} holds observations of shape {items[0].shape} at [0] and {items[i].shape} "
                f"at [{i}]"
            )
    if not items:
        raise DataError(f"{what} is empty")
    return np.stack(items)


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        taken = values.astype(np.float32)
    bad = ~np.isfinite(taken)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        more = int(bad.sum()) - 1
        others = f", and {more} more such values" if more else ""
        raise DataError(f"{what} holds {values[first]} at {list(first)}{others}: must be finite")
    return taken


def _whole(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "b" or (values.min() >= 0 and values.max() <= 1):
        return values.astype(np.uint8) * np.uint8(255)
    return values if values.dtype == np.uint8 else values.astype(np.float32)


Data = TypeVar("Data", Tensor, Streamed)


def explained(vae: LatentModel, values: Data, what: str = "x") -> Data:
    """Return :func:`observations` that a model's likelihood can explain.

    Raises
    ------
    DataError
        With the first value that it cannot, and a way out.
    """
    likelihood: Likelihood | None = getattr(vae, "likelihood", None)
    found = None if likelihood is None else likelihood.first_refused(values)
    if likelihood is None or found is None:
        return values
    place, words, value = found
    name = LIKELIHOODS.name_of(type(likelihood))
    scaled = likelihood.support == "unit"
    hint = f": scale {what}, or take likelihood 'gaussian'" if scaled else ""
    raise DataError(
        f"likelihood '{name}' is for {words} but {what} holds {value:g} at {place}{hint}"
    )
