"""MNIST and Fashion-MNIST: 28×28 grey images in IDX files, and labels where their files are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate, locate_beside
from pyrovae.datasets.idx import read_idx
from pyrovae.datasets.splits import Count, Seed, split_dataset

_Part = Literal["train", "test"]
#: Beginning of the files' names, and number of images.
_FILES: dict[_Part, tuple[str, int]] = {"train": ("train", 60_000), "test": ("t10k", 10_000)}
_DIGITS = tuple(range(10))
_ARTICLES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip


def _read(dataset: str, part: _Part, label: str, classes: Sequence[Any]) -> Split:
    """Return a part's images, with the names of their classes if the file of labels is there."""
    start, n = _FILES[part]
    name = f"{start}-images-idx3-ubyte"
    path = locate(dataset, f"{name}.gz", name)
    images = torch.from_numpy(read_idx(path, (n, 28, 28))[:, None])
    name = f"{start}-labels-idx1-ubyte"
    beside = locate_beside(path, dataset, f"{name}.gz", name)
    if beside is None:
        return Split(images)
    codes = read_idx(beside, (n,))
    if codes.max() >= len(classes):
        raise DataError(f"{beside} holds a label {codes.max()}: must be below {len(classes)}")
    return Split(images, labels={label: np.array(classes)[codes]})


def _dataset(
    name: str,
    split: dict[_Part, int] | None,
    split_of: _Part,
    seed: int,
    label: str,
    classes: Sequence[Any],
) -> Dataset:
    if split is None:
        train, test = (_read(name, part, label, classes) for part in get_args(_Part))
        return Dataset(name, train, test)
    if set(split) != {"train", "test"}:
        raise ConfigError("both 'train' and 'test' must be given", "split")
    available = _FILES[split_of][1]
    if sum(split.values()) > available:
        raise ConfigError(
            f"{split['train']} + {split['test']} images were asked for, "
            f"but the {split_of} file has {available}",
            "split",
        )
    found = _read(name, split_of, label, classes)
    return split_dataset(
        name,
        found.values,
        n_train=split["train"],
        n_test=split["test"],
        seed=seed,
        labels=found.labels,
    )


@DATASETS.register("mnist")
def mnist(
    *,
    split: dict[_Part, Count] | None = None,
    split_of: _Part = "test",
    seed: Seed = 0,
) -> Dataset:
    """Handwritten digits, 28×28 grey.

    The label ``digit`` is there if the file of labels is beside that of the images.

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
    return _dataset("mnist", split, split_of, seed, "digit", _DIGITS)


@DATASETS.register("fashion_mnist")
def fashion_mnist(
    *,
    split: dict[_Part, Count] | None = None,
    split_of: _Part = "test",
    seed: Seed = 0,
) -> Dataset:
    """Articles of clothing, 28×28 grey; parameters as for ``mnist``.

    The label ``article`` is there if the file of labels is beside that of the images.

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
    return _dataset("fashion_mnist", split, split_of, seed, "article", _ARTICLES)
