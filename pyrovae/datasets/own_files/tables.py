"""Tables: CSV and Parquet files, a row an observation."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyrovae.core.errors import ConfigError, DataError, did_you_mean
from pyrovae.core.reading import reading
from pyrovae.datasets.labels import named
from pyrovae.datasets.observed import observations
from pyrovae.datasets.own_files.content import Content, inside

if TYPE_CHECKING:
    import pandas as pd


def read_text_table(
    path: Path,
    *,
    columns: list[str] | None = None,
    labels: list[str] | None = None,
    factors: Sequence[str] = (),
) -> Content:
    """Read a CSV file, or one with tabs (``.tsv``), with or without a line of names."""
    import pandas as pd  # slow to import

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with reading(path, "a table"):
        names, lines = _lines(path, separator)
        table = pd.read_csv(
            path,
            sep=separator,
            header=0 if names else None,
            index_col=False,
            low_memory=False,
            encoding="utf-8-sig",
        )
    if not names:
        table.columns = pd.Index([f"column_{i}" for i in range(table.shape[1])])
    return _content(path, table, columns, labels, factors, lambda row: f"line {lines[row]}")


def _lines(path: Path, separator: str) -> tuple[bool, list[int]]:
    """Return whether a table has a line of names, and in which line each of its rows ends.

    Pandas fills rows that are too short, and cuts some that are too long.
    """
    lines: list[int] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, strict=True)
        first = next((row for row in reader if row), [])
        names = not all(map(_is_number, first))
        if not names:
            lines.append(reader.line_num)
        for row in reader:
            if not row:
                continue
            lines.append(reader.line_num)
            if len(row) != len(first):
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} entries, and the first {len(first)}"
                )
    return names, lines


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def read_parquet(
    path: Path,
    *,
    columns: list[str] | None = None,
    labels: list[str] | None = None,
    factors: Sequence[str] = (),
) -> Content:
    """Read a Parquet file."""
    import pandas as pd  # slow to import

    with reading(path, "a Parquet file"):
        table = pd.read_parquet(path)
        return _content(path, table, columns, labels, factors, lambda row: f"row {row}")


def _content(
    path: Path,
    table: pd.DataFrame,
    columns: list[str] | None,
    labels: list[str] | None,
    factors: Sequence[str],
    place: Callable[[int], str],
) -> Content:
    table = table.rename(columns=str)
    for key, asked in (("columns", columns), ("labels", labels), ("factors", factors)):
        for name in asked or []:
            if name not in table:
                known = did_you_mean(name, table.columns)
                raise ConfigError(f"{path} has no column {name!r}{known}", key)
    apart = list(dict.fromkeys([*(labels or []), *factors]))
    seen = [name for name in table if name not in apart] if columns is None else columns
    if not seen or not len(table):
        raise DataError(f"{path} holds {'no rows' if seen else 'no columns to be observed'}")

    for name in seen:
        _check_numbers(path, table[name], place)
    for name in apart:
        empty = np.flatnonzero(table[name].isna())
        if len(empty):
            raise DataError(f"{path}: column {name!r} has no value in {place(int(empty[0]))}")
    with inside(path):
        kept = named({name: _plain(table[name]) for name in apart}, len(table), what="column")
        return Content(observations(_numbers(table[seen])), kept)


def _check_numbers(path: Path, column: pd.Series, place: Callable[[int], str]) -> None:
    """Refuse a column that has anything but finite numbers, with the first such place."""
    import pandas as pd

    empty = np.flatnonzero(column.isna())
    if len(empty):
        raise DataError(f"{path}: column {column.name!r} has no value in {place(int(empty[0]))}")
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        odd = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna())
        row = int(odd[0]) if len(odd) else 0
        raise DataError(
            f"{path}: column {column.name!r} holds {str(column.iloc[row])!r} in {place(row)}: must "
            "be numbers, unless it is named under 'labels'"
        )
    values = column.to_numpy(np.float64)
    with np.errstate(over="ignore"):
        odd = np.flatnonzero(~np.isfinite(values.astype(np.float32)))
    if len(odd):
        told = f"{values[odd[0]]} in {place(int(odd[0]))}"
        raise DataError(f"{path}: column {column.name!r} holds {told}: must be a finite number")


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """Return whole numbers, or real ones; bytes of a table are no intensities."""
    whole = all(dtype.kind in "bui" and dtype != np.uint64 for dtype in table.dtypes)
    return table.to_numpy(np.int64 if whole else np.float64)


def _plain(column: pd.Series) -> np.ndarray:
    """Return a column without pandas' own types."""
    kind = getattr(column.dtype, "kind", "O")
    return column.to_numpy() if kind in "buif" else column.astype(str).to_numpy(str)
