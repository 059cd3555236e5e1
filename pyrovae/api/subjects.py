"""What a verb is about: a model in memory with data, or a stored run's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pyrovae.api.observations import measured
from pyrovae.api.runs import Run
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset
from pyrovae.models.contract import LatentModel


def model_of(given: Any, run: Run | None) -> LatentModel:
    """Return the model that was given, or that of a stored run."""
    vae: LatentModel = given if run is None else run.model
    return vae


def data_for(vae: LatentModel, x: Any, train: Any) -> Dataset:
    """Return the data that a model is looked at on; see :func:`measured`.

    Raises
    ------
    ConfigError
        If there are none.
    DataError
        As there.
    """
    if x is None:
        raise ConfigError("is missing: a model in memory has no data of its own", "x")
    return measured(vae, x, train)


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
