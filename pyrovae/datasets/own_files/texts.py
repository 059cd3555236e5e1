"""Plain text: a line an observation, of characters or words as whole numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
#: The same in text whose vocabulary is cut off, as corpora mark it.
RARE = "<unk>"


def read_text(
    path: Path,
    *,
    unit: str = "characters",
    length: int | None = None,
    vocabulary: int | None = None,
    one_hot: bool = False,
    known: tuple[str, ...] | None = None,
    lower: bool = False,
) -> Content:
    """Read a text in UTF-8.

    Observations are whole numbers ``(n, length)``, as floats: places in the vocabulary, whose first
    entry fills short lines. One-hot they are ``(n, length * vocabulary)``, one vector after the
    other. Empty lines are passed over. ``known`` is the vocabulary of other text that this is to be
    coded as, whatever ``vocabulary`` says. ``lower`` makes letters small.
    """
    sequences = [units_of(line.lower() if lower else line, unit) for line in lines_of(path)]
    length = length or max(map(len, sequences))
    known = known or _vocabulary(sequences, vocabulary)
    wide = len(known) if one_hot else 4
    memory.require(len(sequences) * length * wide, f"the text in {path}", "length")
    other = next((word for word in (UNKNOWN, RARE) if word in known), None)
    try:
        codes = coded(sequences, known, length, other=other)
    except DataError as refusal:
        raise DataError(f"{path} holds {refusal}") from None
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


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text in UTF-8 that are not empty.

    Raises
    ------
    DataError
        For a file that is missing, that is no such text, or that is empty.
    """
    with reading(path, "text in UTF-8"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} holds no text")
    return lines


def units_of(line: str, unit: str) -> list[str]:
    """Return the ``words`` of a line, or its ``characters``."""
    return line.split() if unit == "words" else list(line)


def told(codes: Sequence[float], known: Sequence[str]) -> list[str]:
    """Return the units of a sequence up to its end, by their places in a vocabulary."""
    units = [known[round(code)] for code in codes]
    return units[: units.index(END)] if END in units else units


def coded(
    sequences: Sequence[Sequence[str]],
    known: Sequence[str],
    length: int,
    *,
    other: str | None = None,
) -> np.ndarray:
    """Return places in a vocabulary, ``int64`` of shape ``(n, length)``.

    Parameters
    ----------
    sequences
        Of units; what is beyond ``length`` is cut.
    known
        The vocabulary, whose first entry fills short ones.
    length
        Of every sequence.
    other
        Which entry stands for units that are not in the vocabulary.

    Raises
    ------
    DataError
        For such a unit, if nothing does.
    """
    place = {unit: i for i, unit in enumerate(known)}
    codes = np.zeros((len(sequences), length), np.int64)
    for row, sequence in zip(codes, sequences, strict=True):
        for i, unit in enumerate(sequence[:length]):
            found = place.get(unit, None if other is None else place[other])
            if found is None:
                raise DataError(f"{unit!r}, which is not in the vocabulary")
            row[i] = found
    return codes
