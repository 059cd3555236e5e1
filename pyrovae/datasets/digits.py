"""scikit-learn's digits: the real images that need no file and no download."""

from __future__ import annotations

import numpy as np

from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.splits import Count, Seed, split_dataset


@DATASETS.register("digits")
def digits(*, n_train: Count = 1437, n_test: Count = 360, seed: Seed = 0) -> Dataset:
    """Handwritten digits, 8×8 grey, 1,797 images that come with scikit-learn.

    The digit is kept as a label, ``digit``. It is no factor that generates the image independently
    of others, so the data set has no ground-truth factors.

    Parameters
    ----------
    n_train, n_test
        Sizes of the random disjoint splits; the defaults use all images, 80 % of them to train.
    seed
        Which split.

    Raises
    ------
    ConfigError
        If more than 1,797 images are asked for.

    References
    ----------
    Alpaydin, Kaynak (UCI repository 1998)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("digits", n_train=1000, n_test=500)
    >>> data.train.values.shape, data.train.values.dtype
    (torch.Size([1000, 1, 8, 8]), torch.uint8)
    """
    # Intensities are counts of set pixels in 4×4 blocks: 0 to 16.
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = {"digit": found.target.astype(np.int64)}
    return split_dataset("digits", images, n_train=n_train, n_test=n_test, seed=seed, labels=labels)
