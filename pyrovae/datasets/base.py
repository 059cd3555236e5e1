"""What every data set hands to the rest: two splits of one tensor each, and what is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, Field, create_model
from torch import Tensor

from pyrovae.core.registry import LATER, Registry


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

    def floats(self, index: slice | Tensor | np.ndarray | None = None) -> Tensor:
        """Return the observations as ``float32``, images scaled to [0, 1]."""
        return as_float(self.values if index is None else self.values[index])


@dataclass(frozen=True)
class Dataset:
    """A named data set, ready to train on.

    Attributes
    ----------
    train, test
        The two splits; ``test`` is never trained on.
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

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation: ``(channels, height, width)`` for images, else ``(d,)``."""
        return tuple(self.train.values.shape[1:])

    @property
    def fingerprint(self) -> str:
        """sha256 over both splits' bytes, shapes and types: part of a run's identity."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update(f"{split.values.dtype}{tuple(split.values.shape)}".encode())
            digest.update(split.values.contiguous().numpy().tobytes())
            if split.factors is not None:
                digest.update(np.ascontiguousarray(split.factors).tobytes())
        return digest.hexdigest()


def as_float(values: Tensor) -> Tensor:
    """Scale ``uint8`` to [0, 1]; leave floats alone."""
    return values.to(torch.float32) / 255 if values.dtype == torch.uint8 else values


class _Datasets(Registry):
    """Names to data sets, each of which can also be had flat (:func:`with_flatten`)."""

    def parameters(self, name: str) -> type[BaseModel]:
        return with_flatten(super().parameters(name))


def with_flatten(own: type[BaseModel]) -> type[BaseModel]:
    """Add the parameter ``flatten`` to those of a data set that has none of this name itself."""
    if "flatten" in own.model_fields:
        return own
    flatten = Field(default=False, description="whether each observation is made a vector")
    return create_model(own.__name__, __base__=own, flatten=(Annotated[bool, LATER], flatten))


def made(function: Callable[..., Dataset], own: type[BaseModel], values: dict[str, Any]) -> Dataset:
    """Call a data set's function, and flatten what it returns if that is asked for.

    Parameters
    ----------
    function, own
        The function, and its own parameters.
    values
        Resolved parameters, which may have ``flatten`` besides.
    """
    if "flatten" in own.model_fields:
        return function(**values)
    flat = values.pop("flatten", False)
    dataset = function(**values)
    if not flat:
        return dataset
    train, test = (
        Split(split.values.flatten(1), split.factors) for split in (dataset.train, dataset.test)
    )
    return replace(dataset, train=train, test=test)


#: Data sets by name: functions ``(*, …) -> Dataset`` whose keyword-only parameters the YAML sets.
DATASETS: Registry = _Datasets("dataset")
