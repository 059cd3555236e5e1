"""What a model was trained on that looks most like what it draws."""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.core.given import observed
from pyrovae.datasets import Split

#: Training observations that are looked at, from the first.
LOOKED_AT = 20_000
#: Of these at a time.
_BLOCK = 1000


def nearest_observations(x: Tensor, split: Split) -> Tensor:
    """Return for each of some images the observation of a split that is nearest to it.

    Parameters
    ----------
    x
        ``(k, *event_shape)``.
    split
        At least one observation; the first :data:`LOOKED_AT` are looked at.

    Returns
    -------
    Tensor
        ``(k, *event_shape)``, on the CPU: those of the least Euclidean distance, of several the
        first.

    Examples
    --------
    >>> split = Split(torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]))
    >>> nearest_observations(torch.tensor([[0.9, 1.2], [9.0, 9.0]]), split).tolist()
    [[1.0, 1.0], [5.0, 5.0]]
    """
    wanted = x.cpu().float().flatten(1)
    least = torch.full((len(x),), torch.inf)
    found = torch.zeros(len(x), dtype=torch.long)
    for start in range(0, min(len(split), LOOKED_AT), _BLOCK):
        block = split.take(slice(start, min(start + _BLOCK, LOOKED_AT)))
        values = _plain(block).flatten(1)
        distance, index = torch.cdist(wanted, values).min(1)
        closer = distance < least
        least[closer], found[closer] = distance[closer], start + index[closer]
    # Streamed rows are read in rising order, each once.
    rows, place = found.unique(return_inverse=True)
    return _plain(split.take(rows.numpy()))[place]


def _plain(split: Split) -> Tensor:
    return observed(split.floats()).cpu()
