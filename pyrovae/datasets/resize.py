"""Shrinking images by exact area averaging."""

from __future__ import annotations

import numpy as np


def area_average(images: np.ndarray, size: int) -> np.ndarray:
    """Shrink square images so that every new pixel is the mean of the area it covers.

    Parameters
    ----------
    images
        ``uint8`` of shape ``(n, channels, side, side)``.
    size
        New side in pixels, at most ``side``.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of shape ``(n, channels, size, size)``, rounded to the nearest integer.
    """
    side = images.shape[-1]
    if size == side:
        return images
    # weights[i, j] is the share of new pixel i that lies on old pixel j.
    edges = np.arange(size + 1) * (side / size)
    old = np.arange(side)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    weights = (np.clip(overlap, 0, None) * (size / side)).astype(np.float32)
    return np.rint(weights @ images.astype(np.float32) @ weights.T).astype(np.uint8)
