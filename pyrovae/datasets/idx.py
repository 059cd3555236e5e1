"""The IDX format of MNIST and its relatives."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np

from pyrovae.core.reading import reading
from pyrovae.datasets.files import open_binary

_UINT8 = 0x08


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzip-compressed if its name ends in ``.gz``.

    Format: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian
    32-bit integer, then the values in C order (http://yann.lecun.com/exdb/mnist/).

    Parameters
    ----------
    path
        The file.
    shape
        What the header must say.

    Returns
    -------
    numpy.ndarray
        ``uint8`` of the given shape.

    Raises
    ------
    DataError
        If the file has another magic number, type, shape or length, or its compression is damaged.
    """
    with reading(path, f"an IDX file of shape {shape}"), open_binary(path) as stream:
        zeros, code, n_dims = struct.unpack(">HBB", stream.read(4))
        if (zeros, code, n_dims) != (0, _UINT8, len(shape)):
            raise ValueError(f"its magic number is {zeros:04x}{code:02x}{n_dims:02x}")
        found = struct.unpack(f">{n_dims}I", stream.read(4 * n_dims))
        if found != shape:
            raise ValueError(f"its header says {found}")
        body = stream.read(prod(shape) + 1)
        if len(body) != prod(shape):
            raise ValueError(f"it has {'more' if len(body) > prod(shape) else 'fewer'} values")
    return np.frombuffer(body, np.uint8).reshape(shape).copy()
