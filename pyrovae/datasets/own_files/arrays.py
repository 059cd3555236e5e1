"""Arrays in files: npy, npz and HDF5. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.core.errors import ConfigError, DataError, did_you_mean
from pyrovae.core.reading import reading
from pyrovae.datasets import observed
from pyrovae.datasets.labels import named
from pyrovae.datasets.own_files.content import Content, inside


def read_npy(path: Path) -> Content:
    """Read an npy file, whose array is the observations."""
    with reading(path, "an npy file of numbers"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            raise ValueError("it is another kind of file")
    with inside(path):
        return Content(observed.read(array, channels_last=True))


def read_npz(
    path: Path,
    *,
    array: str | None = None,
    labels: list[str] | None = None,
    factors: Sequence[str] = (),
) -> Content:
    """Read an npz file: the observations, and what is known of each."""
    with reading(path, "an npz file of arrays"), np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is another kind of file")

        def get(name: str, advice: str = "") -> np.ndarray:
            with reading(path, f"readable in array {name!r}", advice):
                return archive[name]

        # Of what nobody asked for (metadata that are pickled, say) only the shape is looked at.
        shapes = {name: _shape(archive, name) for name in archive.files}
        chosen, others = _roles(path, shapes, array, labels, factors)
        values = get(chosen)
        with inside(path, f"array {chosen!r}"):
            observations = observed.observations(values, channels_last=True)
        label = partial(get, advice="name the arrays that are labels by 'labels'")
        return Content(observations, _labels(path, others, label, len(observations)))


def _shape(archive: np.lib.npyio.NpzFile, name: str) -> tuple[int, ...]:
    assert archive.zip is not None
    with archive.zip.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        return header(stream)[0]


def read_hdf5(
    path: Path,
    *,
    array: str | None = None,
    labels: list[str] | None = None,
    factors: Sequence[str] = (),
) -> Content:
    """Read an HDF5 file: the observations, and what is known of each; names may have groups."""
    import h5py  # slow to import

    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        shapes: dict[str, tuple[int, ...]] = {}

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.shape is not None:
                shapes[name] = item.shape

        file.visititems(note)

        def get(name: str) -> np.ndarray:
            with reading(path, f"readable in array {name!r}"):
                item = file[name]
                return np.asarray(item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item)

        chosen, others = _roles(path, shapes, array, labels, factors)
        with inside(path, f"array {chosen!r}"):
            values = observed.read(file[chosen], channels_last=True)
        return Content(values, _labels(path, others, get, len(values)))


def _roles(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    array: str | None,
    labels: list[str] | None,
    factors: Sequence[str],
) -> tuple[str, list[str]]:
    """Return which array is the observations, and which are known of each."""
    for key, asked in (("array", [array] if array else []), ("labels", labels or []),
                       ("factors", factors)):  # fmt: skip
        for name in asked:
            if name not in shapes:
                raise ConfigError(f"{path} has no array {name!r}{did_you_mean(name, shapes)}", key)
    apart = {*(labels or []), *factors}
    if array is None:
        large = [name for name, shape in shapes.items() if name not in apart and len(shape) > 1]
        if len(large) != 1:
            told = f"arrays {', '.join(large)}" if large else "no array of two or more dimensions"
            raise DataError(f"{path} has {told}: name the observations by 'array'")
        array = large[0]
    if array in apart:
        raise ConfigError(f"array {array!r} cannot be observations and a label", "array")
    kept = (
        list(labels)
        if labels is not None
        else [name for name, shape in shapes.items() if len(shape) == 1 and name != array]
    )
    return array, list(dict.fromkeys([*kept, *factors]))


def _labels(
    path: Path, names: Sequence[str], get: Callable[[str], np.ndarray], n: int
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name in names:
        values = get(name)
        if len(values) != n:
            raise DataError(
                f"{path}: array {name!r} is of {len(values)} observations, and there are {n}; "
                "name the arrays that are labels by 'labels'"
            )
        columns = (
            {name: values}
            if values.ndim == 1
            else {f"{name}_{i}": column for i, column in enumerate(values.reshape(n, -1).T)}
        )
        with inside(path):
            found |= named(columns, n, what="label")
    return found
