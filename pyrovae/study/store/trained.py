"""A finished run as a model again."""

from __future__ import annotations

from pyrovae.datasets import Dataset, load_dataset
from pyrovae.models.contract import LatentModel
from pyrovae.study.plan.planning import model_of
from pyrovae.study.store.folders import RunFolder


def load_trained(folder: RunFolder) -> tuple[LatentModel, Dataset]:
    """Return the trained model of a run, and its data.

    Raises
    ------
    PyrovaeError
        If the data set cannot be had any more.
    """
    config = folder.config()
    dataset = load_dataset(**config.dataset)
    vae = model_of(config, dataset.event_shape)
    vae.load_state_dict(folder.parameters())
    return vae.eval(), dataset
