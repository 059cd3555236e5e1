"""Frey faces: frames of a video of Brendan Frey's face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.files import locate
from pyrovae.datasets.splits import Count, Seed, split_dataset


def read_freyfaces(path: Path, n: int = 1965) -> np.ndarray:
    """Read the faces from Roweis' ``.mat`` file or from an ``.npz`` file with the array ``images``.

    Parameters
    ----------
    path
        ``.mat``: ``ff`` of shape ``(560, n)``, a column for each image; ``.npz``: ``(n, 28, 20)``.
    n
        Number of images that must be there.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, 1, 28, 20)``.

    Raises
    ------
    DataError
        If the file is neither.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.io import loadmat

    with reading(path, f"a file of {n} Frey faces"):
        if path.suffix == ".mat":
            images = loadmat(path)["ff"].T
            if images.shape != (n, 560):
                raise ValueError(f"'ff' has shape {images.T.shape}")
        else:
            with np.load(path, allow_pickle=False) as arrays:
                images = arrays["images"]
            if images.shape != (n, 28, 20):
                raise ValueError(f"'images' has shape {images.shape}")
        if images.dtype != np.uint8:
            raise ValueError(f"the images are of type {images.dtype}")
    return np.ascontiguousarray(images).reshape(n, 1, 28, 20)


@DATASETS.register("freyfaces")
def freyfaces(*, n_train: Count = 1565, n_test: Count = 400, seed: Seed = 0) -> Dataset:
    """Frames of a video of one face, 28×20 grey, 1,965 images.

    Neighbouring frames are nearly equal and the split is random, as is usual with this data set:
    a test image has close relatives among the training images, so the train-test gap is small.

    Parameters
    ----------
    n_train, n_test
        Sizes of the random disjoint splits; the defaults use all images.
    seed
        Which split.

    Raises
    ------
    ConfigError
        If more than 1,965 images are asked for.
    DataError
        If the file is missing or damaged.

    References
    ----------
    Roweis, Saul (Science 2000)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("freyfaces")  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1565, 1, 28, 20])
    """
    images = read_freyfaces(locate("freyfaces", "freyfaces.npz", "frey_rawface.mat"))
    return split_dataset("freyfaces", images, n_train=n_train, n_test=n_test, seed=seed)
