"""What any kind of file gives, and where files are looked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.files import data_dir
from pyrovae.datasets.streamed import Streamed

#: That of the study that was read last, if it was in a file.
_study_folder: Path | None = None


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    values
        Observations, ``(n, *event)``.
    labels
        By name, ``(n,)`` each.
    vocabulary
        Of text.
    """

    values: Tensor | Streamed
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()

    def told(self, dataset: Dataset) -> Dataset:
        """Return a data set of this content that knows what it is about.

        Labels and vocabulary are what runs are compared by, so they are part of what the data are.
        """
        if not self.labels and not self.vocabulary:
            return dataset
        digest = hashlib.sha256(json.dumps(self.vocabulary).encode())
        for name, column in self.labels.items():
            digest.update(json.dumps([name, column.dtype.kind, column.tolist()]).encode())
        return replace(dataset, vocabulary=self.vocabulary, about=digest.hexdigest())


def look_in(folder: Path | None) -> None:
    """Let relative paths be looked for in the folder of the study that is being read."""
    global _study_folder
    _study_folder = None if folder is None else folder.resolve()


def located(path: str) -> Path:
    """Return the file or folder that a study names.

    Raises
    ------
    DataError
        If there is none.
    """
    asked = Path(path).expanduser()
    folders = list(dict.fromkeys(filter(None, [_study_folder, Path.cwd(), data_dir()])))
    for folder in folders:
        with reading(folder / asked, "the path of a file or folder"):
            if (folder / asked).exists():
                return folder / asked
    where = "" if asked.is_absolute() else f" in {' or '.join(map(str, folders))}"
    raise DataError(f"there is no file or folder '{path}'{where}")


@contextmanager
def inside(path: Path, what: str = "") -> Iterator[None]:
    """Put the file, and the part of it, in front of what is wrong with it."""
    try:
        yield
    except DataError as refusal:
        part = f"{path}: {what}" if what else str(path)
        raise DataError(f"{part} holds {refusal}") from refusal.__cause__
