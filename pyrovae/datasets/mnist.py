"""MNIST and Fashion-MNIST: 28×28 grey images in IDX files; labels are not read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from pyrovae.core.errors import ConfigError
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.idx import read_idx
from pyrovae.datasets.splits import Count, Seed, split_dataset

_Part = Literal["train", "test"]
_FILES: dict[_Part, tuple[str, int]] = {
    "train": ("train-images-idx3-ubyte", 60_000),
    "test": ("t10k-images-idx3-ubyte", 10_000),
}


def _images(dataset: str, part: _Part) -> np.ndarray:
    name, n = _FILES[part]
    return read_idx(locate(dataset, f"{name}.gz", name), (n, 28, 28))[:, None]


def _dataset(name: str, split: dict[_Part, int] | None, split_of: _Part, seed: int) -> Dataset:
    if split is None:
        return Dataset(
            name,
            train=Split(torch.from_numpy(_images(name, "train"))),
            test=Split(torch.from_numpy(_images(name, "test"))),
        )
    if set(split) != {"train", "test"}:
        raise ConfigError("both 'train' and 'test' must be given", "split")
    available = _FILES[split_of][1]
    if sum(split.values()) > available:
        raise ConfigError(
            f"{split['train']} + {split['test']} images were asked for, "
            f"but the {split_of} file has {available}",
            "split",
        )
    images = _images(name, split_of)
    return split_dataset(name, images, n_train=split["train"], n_test=split["test"], seed=seed)


@DATASETS.register("mnist")
def mnist(
    *,
    split: dict[_Part, Count] | None = None,
    split_of: _Part = "test",
    seed: Seed = 0,
) -> Dataset:
    """Handwritten digits, 28×28 grey.

    Parameters
    ----------
    split
        ``None`` for the canonical split: 60,000 training images in one file, 10,000 test images in
        another. ``{train: 8000, test: 2000}`` for a random disjoint split of one of the two files
        instead, for quick studies and for machines that have only the small one.
    split_of
        The file that ``split`` divides. It is named rather than guessed, so that the same
        configuration means the same images wherever it runs. Without ``split`` it has no effect.
    seed
        Which split; without ``split`` it has no effect.

    Raises
    ------
    ConfigError
        If ``split`` asks for more images than the file has.
    DataError
        If a file is missing or damaged.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (Proc. IEEE 1998)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("mnist")  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([60000, 1, 28, 28])
    """
    return _dataset("mnist", split, split_of, seed)


@DATASETS.register("fashion_mnist")
def fashion_mnist(
    *,
    split: dict[_Part, Count] | None = None,
    split_of: _Part = "test",
    seed: Seed = 0,
) -> Dataset:
    """Articles of clothing, 28×28 grey; parameters as for ``mnist``.

    Parameters
    ----------
    split, split_of, seed
        See :func:`mnist`.

    Raises
    ------
    ConfigError
        If ``split`` asks for more images than the file has.
    DataError
        If a file is missing or damaged.

    References
    ----------
    Xiao, Rasul, Vollgraf (arXiv:1708.07747)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("fashion_mnist", split={"train": 8000, "test": 2000})  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([8000, 1, 28, 28])
    """
    return _dataset("fashion_mnist", split, split_of, seed)
