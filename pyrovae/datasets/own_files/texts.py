"""Plain text: a line an observation, of characters or words as whole numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from pyrovae.core import memory
from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading
from pyrovae.datasets.own_files.content import Content

#: What fills a sequence that is too short: number 0.
END = ""
#: What stands for units outside the vocabulary.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def read_text(
    path: Path,
    *,
    unit: str = "characters",
    length: int | None = None,
    vocabulary: int | None = None,
    one_hot: bool = False,
    known: tuple[str, ...] | None = None,
) -> Content:
    """Read a text in UTF-8.

    Observations are whole numbers ``(n, length)``, as floats: places in the vocabulary, whose first
    entry fills short lines. One-hot they are ``(n, length * vocabulary)``, one vector after the
    other. Empty lines are passed over. ``known`` is the vocabulary of other text that this is to be
    coded as, whatever ``vocabulary`` says.
    """
    with reading(path, "text in UTF-8"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} holds no text")
    sequences = [line.split() if unit == "words" else list(line) for line in lines]
    length = length or max(map(len, sequences))
    known = known or _vocabulary(sequences, vocabulary)
    wide = len(known) if one_hot else 4
    memory.require(len(sequences) * length * wide, f"the text in {path}", "length")
    place = {unit: i for i, unit in enumerate(known)}
    other = place.get(UNKNOWN)
    codes = np.zeros((len(sequences), length), np.int64)
    for row, sequence in zip(codes, sequences, strict=True):
        cut = sequence[:length]
        row[: len(cut)] = [_place(path, place, each, other) for each in cut]
    if not one_hot:
        return Content(torch.from_numpy(codes.astype(np.float32)), vocabulary=known)
    vectors = np.zeros((*codes.shape, len(known)), np.uint8)
    np.put_along_axis(vectors, codes[..., None], 255, axis=-1)
    return Content(torch.from_numpy(vectors).flatten(1), vocabulary=known)


def _vocabulary(sequences: list[list[str]], most: int | None) -> tuple[str, ...]:
    """Return the units that are told apart, sorted, behind what fills and stands for others."""
    counts = Counter(unit for sequence in sequences for unit in sequence)
    if most is None or len(counts) < most:
        return (END, *sorted(counts))
    kept = sorted(counts, key=lambda unit: (-counts[unit], unit))[: most - 2]
    return (END, UNKNOWN, *sorted(kept))


def _place(path: Path, place: dict[str, int], unit: str, other: int | None) -> int:
    found = place.get(unit, other)
    if found is None:
        raise DataError(f"{path} holds {unit!r}, which is not in the vocabulary")
    return found
