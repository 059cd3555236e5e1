"""Files of observations that a trained run is used on, and files of what it gives."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.core.reading import reading

#: Arrays of an ``.npz`` that are no observations, by what they may be called.
_LABELS = ("labels", "label", "factors", "y")
_OBSERVATIONS = ("x", "observations", "images", "data")


@dataclass(frozen=True)
class Observed:
    """What a file holds.

    Attributes
    ----------
    x
        Observations, one row for each, as they are in the file.
    labels
        ``(n,)`` or ``(n, k)``; ``None`` where there are none.
    """

    x: np.ndarray
    labels: np.ndarray | None = None


def read(path: Path) -> Observed:
    """Return the observations of a file, and their labels where it has any.

    ``.npy`` is an array of observations; ``.npz`` has them as ``x`` (or ``observations``,
    ``images``, ``data``, or its only array besides labels), and labels as ``labels`` (or ``label``,
    ``factors``, ``y``).

    Raises
    ------
    DataError
        If the file cannot be read, or it is not said which array is meant.
    """
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"{path}: must be a .npy or .npz file of observations")
    with reading(path, f"an {path.suffix} file of numbers"):
        # Pickled objects could run code: arrays of numbers do not need them.
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return Observed(content)
        with content:
            arrays = {name: content[name] for name in content.files}
    labels = next((arrays.pop(name) for name in _LABELS if name in arrays), None)
    known = [name for name in _OBSERVATIONS if name in arrays] or list(arrays)
    if len(known) != 1:
        named = ", ".join(known) if known else "none"
        raise DataError(f"{path}: which array holds observations? there are {named}; call it x")
    x = arrays[known[0]]
    if labels is not None and (labels.ndim not in (1, 2) or len(labels) != len(x)):
        raise DataError(f"{path}: labels of shape {labels.shape} for {len(x)} observations")
    return Observed(x, labels)


def label_columns(labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return labels as columns of a table: ``label``, or ``label_0`` and so on."""
    if labels is None:
        return {}
    if labels.ndim == 1:
        return {"label": labels}
    return {f"label_{i}": labels[:, i] for i in range(labels.shape[1])}


def check_suffix(path: Path, known: tuple[str, ...]) -> None:
    """Refuse a file to be written that has none of the known suffixes, before anything is done.

    Raises
    ------
    ConfigError
        With those that there are.
    """
    if path.suffix not in known:
        raise ConfigError(f"must end in {' or '.join(known)}, got '{path}'", "--out")


#: What a table can be written as, and arrays beside each other.
TABLES = (".parquet", ".csv")
ARRAYS = (".npz", ".npy")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as its file's suffix says: one of :data:`TABLES`."""
    as_csv = path.suffix == ".csv"
    content = table.to_csv(index=False).encode() if as_csv else table.to_parquet(index=False)
    atomic.write_bytes(path, content)


def write_arrays(arrays: dict[str, Any], path: Path) -> None:
    """Write arrays as one of :data:`ARRAYS`; ``.npy`` holds the first alone."""
    stream = io.BytesIO()
    if path.suffix == ".npy":
        np.save(stream, next(iter(arrays.values())), allow_pickle=False)
    else:
        np.savez_compressed(stream, **arrays)
    atomic.write_bytes(path, stream.getvalue())


def codes_table(posterior: dict[str, np.ndarray], labels: np.ndarray | None) -> pd.DataFrame:
    """Return codes as a table, one row for each observation.

    Parameters
    ----------
    posterior
        As :meth:`pyrovae.api.runs.Run.posterior` gives it.
    labels
        Kept beside them, where there are any.

    Returns
    -------
    DataFrame
        Of each unit u ``mean_u`` and ``scale_u``; with draws ``draw_k_u``, k from 0.
    """
    columns = {
        f"{name}_{u}": posterior[name][:, u]
        for name in ("mean", "scale")
        for u in range(posterior["mean"].shape[1])
    }
    for k, drawn in enumerate(posterior.get("draws", ())):
        columns |= {f"draw_{k}_{u}": drawn[:, u] for u in range(drawn.shape[1])}
    return pd.DataFrame(columns | label_columns(labels))
