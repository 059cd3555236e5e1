"""Files of observations that a trained run is used on, and files of what it gives."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from pyrovae.api.runs import Run
from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, DataError, did_you_mean
from pyrovae.datasets.own_files import content_of
from pyrovae.datasets.own_files.content import Content
from pyrovae.datasets.own_files.texts import read_text, told
from pyrovae.study.store.trained import data_of

#: Data sets that may be of text.
_TEXTS = ("files", "text", "grammar")


def write_text(codes: Tensor, run: Run, path: Path) -> None:
    """Write sequences of a run's vocabulary, a line each.

    Raises
    ------
    ConfigError
        If the run's data are no text.
    """
    dataset = run.config.dataset
    own = data_of(run.folder, run.config) if dataset["name"] in _TEXTS else None
    if own is None or not own.vocabulary or dataset.get("one_hot"):
        raise ConfigError(f"run {run.id} is not of text")
    between = " " if dataset.get("unit", "words") == "words" else ""
    lines = (between.join(told(row, own.vocabulary)) for row in codes.flatten(1).tolist())
    atomic.write_bytes(path, ("\n".join(lines) + "\n").encode())


def read(path: Path, run: Run) -> Content:
    """Return the observations of a file or folder, and their labels where it has any.

    Where the run's own data were files, this one is read as they were: the same columns, arrays,
    labels, size of pictures. Units of text are numbered as in the run's own, which has to be there.

    Raises
    ------
    ConfigError, DataError
        As of the data set ``files``; and for text where the run's own data were none.
    """
    if not path.exists():
        raise DataError(f"{path}: No such file or directory")
    dataset = run.config.dataset
    chosen = dataset if dataset["name"] == "files" else {}
    if path.suffix.lower() != ".txt":
        return content_of(path, chosen)
    own = data_of(run.folder, run.config) if dataset["name"] in _TEXTS else None
    if own is None or not own.vocabulary:
        raise DataError(f"{path}: text is not read here: save its codes as an .npy file")
    if not chosen:
        return read_text(
            path,
            unit=dataset.get("unit", "words"),
            length=own.event_shape[-1],
            known=own.vocabulary,
            lower=dataset.get("lower", False),
        )
    wide = len(own.vocabulary) if dataset["one_hot"] else 1
    return content_of(path, {**chosen, "length": own.event_shape[0] // wide}, own.vocabulary)


def context(
    run: Run, given: Sequence[str], labels: Mapping[str, np.ndarray]
) -> dict[str, Any] | None:
    """Return what a conditional run is given: values for all data, and else the data's own labels.

    Parameters
    ----------
    run
        The run.
    given
        ``name=value`` each.
    labels
        Of the data, by name.

    Raises
    ------
    ConfigError
        For a name that the run is not given, one that is missing, or what is not of that form.
    DataError
        For a value that cannot be.
    """
    condition = run.model.condition
    columns = () if condition is None or condition.columns is None else condition.columns.columns
    names = [column.name for column in columns]
    chosen: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        place = f"--given {each}"
        if not equals or not name:
            raise ConfigError("must have the form name=value", place)
        if name not in names:
            told = did_you_mean(name, names) if names else ": it is not conditional"
            raise ConfigError(f"run {run.id} is not given '{name}'{told}", place)
        if name in chosen:
            raise ConfigError(f"'{name}' is given twice", place)
        chosen[name] = value
    if not columns:
        return None
    found: dict[str, Any] = {}
    for column in columns:
        if column.name in chosen:
            found[column.name] = column.parsed(chosen[column.name])
        elif column.name in labels:
            found[column.name] = labels[column.name]
        else:
            raise ConfigError(
                f"run {run.id} is given '{column.name}' ({column.told()}): say which by --given "
                f"{column.name}=…" + (", or have it as a label" if labels else "")
            )
    return found


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


def codes_table(posterior: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return codes as a table, one row for each observation.

    Parameters
    ----------
    posterior
        As :meth:`pyrovae.api.runs.Run.posterior` gives it.
    labels
        By name: kept beside them.

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
    return pd.DataFrame(beside(columns, labels))


def beside(found: dict[str, Any], labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what was found with the labels beside it; one of the same name has ``label_`` before.

    >>> beside({"mean": 1}, {"mean": 2, "kind": 3})
    {'mean': 1, 'label_mean': 2, 'kind': 3}
    """
    return found | {f"label_{k}" if k in found else k: v for k, v in labels.items()}
