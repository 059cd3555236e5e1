"""Files of the user's own as a data set: ``dataset: {name: files, path: faces}``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pyrovae.core.errors import ConfigError, DataError, did_you_mean
from pyrovae.core.registry import PLACE
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.own_files import arrays, pictures, tables, texts
from pyrovae.datasets.own_files.content import Content, located, look_in
from pyrovae.datasets.splits import Count, Seed, split_dataset, with_a_fifth_to_test

__all__ = ["content_of", "files", "look_in"]

_Side = Annotated[int, Field(gt=0)]
#: By the ending of a file's name: what reads it.
_READERS: dict[str, Callable[..., Content]] = {
    ".npy": arrays.read_npy,
    ".npz": arrays.read_npz,
    **dict.fromkeys((".h5", ".hdf5", ".he5", ".hdf"), arrays.read_hdf5),
    **dict.fromkeys((".csv", ".tsv"), tables.read_text_table),
    **dict.fromkeys((".parquet", ".pq"), tables.read_parquet),
    ".txt": texts.read_text,
}
#: What the readers take besides the path, and what it is for.
_FOR = {
    "array": "npz and HDF5 files",
    "columns": "tables",
    "labels": "npz and HDF5 files and tables",
    "size": "folders of pictures",
    "colour": "folders of pictures",
    "unit": "text",
    "length": "text",
    "vocabulary": "text",
    "one_hot": "text",
}


@DATASETS.register("files")
def files(
    *,
    path: Annotated[str, PLACE, Field(min_length=1)],
    array: str | None = None,
    columns: list[str] | None = None,
    labels: list[str] | None = None,
    factors: list[str] | None = None,
    size: _Side | Annotated[list[_Side], Field(min_length=2, max_length=2)] | None = None,
    colour: Literal["grey", "rgb"] | None = None,
    unit: Literal["characters", "words"] | None = None,
    length: Count | None = None,
    vocabulary: Annotated[int, Field(gt=1)] | None = None,
    one_hot: bool = False,
    n_train: Count | None = None,
    n_test: Count | None = None,
    seed: Seed = 0,
) -> Dataset:
    """Your own file: npy, npz, HDF5, CSV, Parquet, text, or a folder of pictures.

    Where the file is does not decide a run's identity, what it holds does.

    Parameters
    ----------
    path
        The file or folder. A relative path is looked for in the study's folder, the working
        directory and the one that PYROVAE_DATA names.
    array
        The observations in an npz or HDF5 file; without it, the only array of two or more
        dimensions.
    columns
        The observed columns of a table; without it, all that are no labels or factors.
    labels
        Arrays or columns that are kept as labels. Without it, every array ``(n,)`` of an npz or
        HDF5 file is one, and no column of a table; in a folder of pictures, sub-folders are.
    factors
        Labels that are ground-truth factors, which metrics of disentanglement take.
    size
        Side, or height and width, that pictures are brought to: cut to that shape around their
        middle, then resized. Without it all must have one size.
    colour
        ``grey`` or ``rgb``; without it as the pictures are, which then must be alike.
    unit
        What a line of text is a sequence of; ``characters`` without it.
    length
        Of every sequence: longer ones are cut, shorter ones filled; without it that of the
        longest.
    vocabulary
        Of text: so many units are told apart at most, the most frequent ones.
    one_hot
        Whether a unit of text is a vector of 0 and 1 instead of its number.
    n_train, n_test
        Sizes of the random disjoint splits; without them a fifth is for testing.
    seed
        Which split.

    Raises
    ------
    ConfigError
        For an option that is not for such a file, or too many observations.
    DataError
        With the file and the place in it, for anything in it that cannot be.

    References
    ----------
    your own

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("files", path="faces", size=64)  # doctest: +SKIP
    >>> data.train.values.shape  # doctest: +SKIP
    torch.Size([1565, 1, 64, 64])
    """
    options = {
        "array": array,
        "columns": columns,
        "labels": labels,
        "size": size,
        "colour": colour,
        "unit": unit,
        "length": length,
        "vocabulary": vocabulary,
        "one_hot": one_hot or None,
    }
    place = located(path)
    read, takes = _reader(place)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in takes:
            raise ConfigError(f"'{key}' is for {_FOR[key]}, and {place.name} is none", key)
    wanted = {"factors": factors or []} if "labels" in takes else {}
    content = read(place, **given, **wanted)
    scored = [each for name in factors or [] for each in _columns(place, content, name)]
    n = len(content.values)
    try:
        a_fifth = with_a_fifth_to_test(n)
    except DataError as refusal:
        raise DataError(f"{place} holds {refusal}") from None
    dataset = split_dataset(
        "files",
        content.values,
        n_train=n_train or (max(1, n - n_test) if n_test else a_fifth[0]),
        n_test=n_test or (max(1, n - n_train) if n_train else a_fifth[1]),
        seed=seed,
        labels=content.labels,
        factors=scored,
    )
    return content.told(dataset)


def content_of(path: Path, chosen: Mapping[str, Any]) -> Content:
    """Return what a file or folder holds, as a data set of such files would have it.

    Parameters
    ----------
    path
        Of the file or folder.
    chosen
        Parameters of :func:`files`, of which those count that are for files of this kind. Labels
        and factors that are not there are passed over: new data need not have any.

    Raises
    ------
    ConfigError, DataError
        As :func:`files`.
    """
    read, takes = _reader(path)
    given = {key: chosen[key] for key in takes if chosen.get(key) is not None}
    wanted = {"factors": chosen.get("factors") or []} if "labels" in takes else {}
    try:
        return read(path, **given, **wanted)
    except ConfigError as refusal:
        if refusal.place not in ("labels", "factors"):
            raise
    given.pop("labels", None)
    return read(path, **given)


def _reader(path: Path) -> tuple[Callable[..., Content], set[str]]:
    """Return what reads a file or folder, and the options that it takes."""
    if path.is_dir():
        read: Callable[..., Content] = pictures.read_pictures
    else:
        suffix = path.suffix.lower()
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder")
        if suffix not in _READERS:
            raise DataError(
                f"{path}: files of the kind '{suffix}' are not read; known: "
                f"{', '.join(_READERS)}, and folders of pictures"
            )
        read = _READERS[suffix]
    parameters = inspect.signature(read).parameters
    return read, set(parameters) & set(_FOR)


def _columns(path: Path, content: Content, name: str) -> list[str]:
    """Return the labels that a name stands for: a table's are numbered behind it."""
    numbered = re.compile(re.escape(name) + r"_\d+")
    found = [each for each in content.labels if each == name or numbered.fullmatch(each)]
    if not found:
        known = did_you_mean(name, content.labels)
        raise ConfigError(f"{path} has no label '{name}'{known}", "factors")
    return [name] if name in found else found
