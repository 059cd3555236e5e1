"""Factor grids: data sets with one image for every combination of their ground-truth factors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from pyrovae.core.errors import DataError
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.splits import split_indices


@dataclass(frozen=True)
class FactorGrid:
    """All combinations of some discrete factors, numbered with the last factor varying fastest.

    Attributes
    ----------
    names, sizes
        Of the factors; ``sizes`` are the numbers of values.

    Examples
    --------
    >>> FactorGrid(("shape", "scale"), (3, 6)).factors(np.array([7]))
    array([[1, 1]])
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return prod(self.sizes)

    def factors(self, index: np.ndarray) -> np.ndarray:
        """Return factor indices, ``int64`` of shape ``(n, n_factors)``, of grid points ``(n,)``.

        Raises
        ------
        DataError
            If an index is outside ``range(len(self))``.
        """
        try:
            return np.stack(np.unravel_index(index, self.sizes), axis=-1).astype(np.int64)
        except (ValueError, TypeError) as failure:
            raise DataError(f"not an index of a grid of {len(self)} points: {failure}") from None

    def index(self, factors: np.ndarray) -> np.ndarray:
        """Return grid points, ``int64`` of shape ``(n,)``, of factor indices ``(n, n_factors)``.

        Raises
        ------
        DataError
            If there is another number of columns, or a factor index is out of its range.
        """
        try:
            return np.ravel_multi_index(tuple(np.asarray(factors).T), self.sizes).astype(np.int64)
        except (ValueError, TypeError) as failure:
            raise DataError(
                f"not factor indices of a grid of sizes {self.sizes}: {failure}"
            ) from None

    def is_enumerated_by(self, labels: np.ndarray) -> bool:
        """Tell whether row ``i`` of ``labels`` describes grid point ``i``, for every ``i``.

        Labels, shape ``(len(self), n_factors)``, may be any numbers that increase with the factor
        index: angles, hues, ….
        """
        if labels.shape != (len(self), len(self.sizes)):
            return False
        expected = self.factors(np.arange(len(self)))
        ranks = [np.unique(column, return_inverse=True)[1] for column in labels.T]
        return np.array_equal(np.stack(ranks, axis=1), expected)


def sample_grid(
    name: str,
    grid: FactorGrid,
    images_at: Callable[[np.ndarray], np.ndarray],
    *,
    n_train: int,
    n_test: int,
    seed: int,
) -> Dataset:
    """Return a data set of random grid points, without replacement within and across its splits.

    Parameters
    ----------
    images_at
        Maps grid points, shape ``(n,)``, to ``uint8`` images ``(n, channels, height, width)``. It
        is called once, so that a file need be read only once.

    Raises
    ------
    ConfigError
        If the grid has fewer than ``n_train + n_test`` points.
    """
    index = np.concatenate(split_indices(len(grid), n_train, n_test, seed))
    images, factors = torch.from_numpy(images_at(index)), grid.factors(index)
    return Dataset(
        name,
        train=Split(images[:n_train], factors[:n_train]),
        test=Split(images[n_train:], factors[n_train:]),
        factor_names=grid.names,
        factor_sizes=grid.sizes,
    )
