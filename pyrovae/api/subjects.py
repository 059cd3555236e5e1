"""What a verb is about: a model in memory with data, or a stored run's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pyrovae.api.conditions import with_contexts
from pyrovae.api.observations import measured
from pyrovae.api.runs import Run
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset
from pyrovae.datasets.context import conditioned, known_of
from pyrovae.models.contract import LatentModel


def model_of(given: Any, run: Run | None) -> LatentModel:
    """Return the model that was given, or that of a stored run."""
    vae: LatentModel = given if run is None else run.model
    return vae


def data_for(
    vae: LatentModel, x: Any, train: Any, context: Any = None, train_context: Any = None
) -> Dataset:
    """Return the data that a model is looked at on, with their context; see :func:`measured`.

    Raises
    ------
    ConfigError
        If there are none.
    DataError
        As there.
    """
    if x is None:
        raise ConfigError("is missing: a model in memory has no data of its own", "x")
    dataset = measured(vae, x, train)
    if vae.condition is None and context is None and train_context is None:
        return dataset
    own = isinstance(x, Dataset) and context is None
    if own and train is None and vae.condition and vae.condition.columns:
        return conditioned(dataset, vae.condition.columns)
    known = known_of(x, x.test) if own else context
    return with_contexts(vae, dataset, {"test": known, "train": train_context}, {"test": "x"})


def name_of(vae: LatentModel, run: Run | None) -> str:
    """Return what a model is called in reports: the run's id, or its kind."""
    return f"a {type(vae).__name__}" if run is None else run.id


def device_of(vae: LatentModel) -> torch.device:
    """Return where a model is."""
    return next(vae.parameters(), torch.zeros(())).device


@contextmanager
def on_cpu(vae: LatentModel) -> Iterator[None]:
    """Have a model on the CPU, and put it back where it was."""
    place = device_of(vae)
    vae.to("cpu")
    try:
        yield
    finally:
        vae.to(place)
