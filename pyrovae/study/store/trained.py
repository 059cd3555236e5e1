"""A finished run as a model again."""

from __future__ import annotations

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import DATASETS, Dataset, load_dataset
from pyrovae.datasets.context import Columns
from pyrovae.models.contract import LatentModel
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import model_of, with_context
from pyrovae.study.store.folders import RunFolder


def load_model(folder: RunFolder) -> tuple[LatentModel, tuple[int, ...]]:
    """Return the trained model of a run and the shape of an observation; its data are not needed.

    Raises
    ------
    PyrovaeError
        If a file is missing or damaged, or code of the user's own that the model is made of.
    """
    shape = tuple(folder.images()["inputs"].shape[1:])
    return _restored(folder, folder.config(), shape, folder.columns()), shape


def load_trained(folder: RunFolder) -> tuple[LatentModel, Dataset]:
    """Return the trained model of a run, which knows its history, and its data.

    Raises
    ------
    PyrovaeError
        If the data set cannot be had any more.
    """
    config = folder.config()
    dataset = data_of(folder, config)
    return _restored(folder, config, dataset.event_shape, dataset.columns), dataset


def _restored(
    folder: RunFolder, config: RunConfig, shape: tuple[int, ...], columns: Columns | None
) -> LatentModel:
    vae = model_of(config, shape, columns=columns)
    folder.restore(vae)
    vae.history, vae.settled, vae.kept = folder.history(), folder.settled(), folder.kept()
    return vae.eval()


def data_of(folder: RunFolder, config: RunConfig) -> Dataset:
    """Return the data that a run was trained on.

    Raises
    ------
    PyrovaeError
        If the data set cannot be had any more, or the user's own file or function gives other data
        than it did.
    """
    dataset = with_context(load_dataset(**config.dataset), config)
    # The identity of a pruned run is not that of its configuration: its parent's was checked.
    original = "lineage" not in folder.environment()
    name = config.dataset["name"]
    own = dotted.is_path(name) or bool(DATASETS.places(name))
    if own and original and config.identity(dataset.fingerprint) != folder.id:
        raise ConfigError(
            f"data set '{dataset.name}' gives other data than this run was trained on",
            file=str(folder.path),
        )
    return dataset
