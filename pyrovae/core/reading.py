"""Reading files that may be absent, damaged or something else than they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrovae.core.errors import DataError, PyrovaeError, first_line


@contextmanager
def reading(path: Path, what: str, advice: str = "") -> Iterator[None]:
    """Turn whatever a decoder raises inside the block into one error about the file.

    Parameters
    ----------
    path
        The file that is being read.
    what
        What it should have been: ``"an IDX file of shape (10000, 28, 28)"``.
    advice
        What the user can do about it; put behind the reason.

    Raises
    ------
    DataError
        With the file's path, in one line.
    """
    behind = f"; {advice}" if advice else ""
    try:
        yield
    except PyrovaeError:
        raise
    # Damaged bytes make the decoders of gzip, zip, npy, HDF5, Parquet and MATLAB files raise nearly
    # anything: EOFError, zlib.error, TokenError, UnboundLocalError. The cause stays attached.
    except Exception as failure:
        if isinstance(failure, OSError) and failure.errno is not None:
            raise DataError(f"{path}: {failure.strerror}{behind}") from failure
        raise DataError(f"{path} is not {what}: {first_line(failure)}{behind}") from failure


def read_json(
    path: Path, what: str, fields: Mapping[str, type], *, advice: str = ""
) -> dict[str, Any]:
    """Return the object in a JSON file.

    Parameters
    ----------
    path, what, advice
        As of :func:`reading`.
    fields
        What the object must have, by name, and of which type each is.

    Raises
    ------
    DataError
        If the file cannot be read, holds no JSON object, or lacks a field.
    """
    with reading(path, what, advice):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        for name, expected in fields.items():
            if not isinstance(content.get(name), expected):
                raise ValueError(f"it has no '{name}' that is a {expected.__name__}")
        return content
