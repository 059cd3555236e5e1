"""Text, a line an observation, as numbers of words or characters in a vocabulary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from pyrovae.core import memory
from pyrovae.core.errors import DataError
from pyrovae.core.registry import PLACE
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.own_files.content import Content, located
from pyrovae.datasets.own_files.texts import END, RARE, coded, lines_of, units_of
from pyrovae.datasets.splits import Count, Seed, split_indices, with_a_fifth_to_test

_Path = Annotated[str, PLACE, Field(min_length=1)]


@DATASETS.register("text")
def text(
    *,
    path: _Path,
    test: Annotated[str | None, PLACE] = None,
    unit: Literal["words", "characters"] = "words",
    lower: bool = False,
    vocabulary: Annotated[int, Field(gt=2)] | None = None,
    at_least: Annotated[int, Field(gt=0)] = 1,
    length: Annotated[int, Field(gt=1)] | None = None,
    n_train: Count | None = None,
    n_test: Count | None = None,
    seed: Seed = 0,
) -> Dataset:
    """Your own text: a line an observation, words or characters, with ends and `<unk>`.

    Observations are whole numbers ``(length,)``: places in the vocabulary, which is that of the
    training lines, sorted. 0 ends a line and fills the rest, 1 is ``<unk>``, any unit that is not
    in the vocabulary. Empty lines are passed over. Where the file is does not decide a run's
    identity, what it holds does. ``files`` reads text too, without ends and as vectors.

    Parameters
    ----------
    path
        The file, in UTF-8. A relative path is looked for in the study's folder, the working
        directory and the one that PYROVAE_DATA names.
    test
        A file to test on; without it some lines are set aside.
    unit
        What a line is a sequence of; words are what white space separates.
    lower
        Whether letters are made small.
    vocabulary
        The most units that are told apart, the most frequent ones, end and ``<unk>`` included;
        without it all.
    at_least
        How often a unit must be in the training lines to be told apart.
    length
        Units of a line, its end included: longer lines are cut, and then have no end. Without it
        that of the longest training line.
    n_train, n_test
        Numbers of lines; without them a fifth is for testing, or each file's all.
    seed
        Which lines.

    Raises
    ------
    ConfigError
        If more lines are asked for than there are.
    DataError
        For a file that is missing, or no text.

    References
    ----------
    your own

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("text", path="reviews.txt", vocabulary=5000)  # doctest: +SKIP
    >>> data.vocabulary[:2]  # doctest: +SKIP
    ('', '<unk>')
    """
    place = located(path)
    own = _lines(place, unit, lower)
    if test is None:
        train, held = _split(place, own, n_train, n_test, seed)
    else:
        other = _lines(located(test), unit, lower)
        train = _some(own, n_train or len(own), seed)
        held = _some(other, n_test or len(other), seed)
    known = _vocabulary(train, vocabulary, at_least)
    size = length or max(map(len, train)) + 1
    memory.require(4 * size * (len(train) + len(held)), f"the text in {place}", "length")
    first, second = (
        torch.from_numpy(coded(lines, known, size, other=RARE).astype(np.float32))
        for lines in (train, held)
    )
    return Content(first, vocabulary=known).told(Dataset("text", Split(first), Split(second)))


def _lines(place: Path, unit: str, lower: bool) -> list[list[str]]:
    lines = lines_of(place)
    return [units_of(line.lower() if lower else line, unit) for line in lines]


def _split(
    place: Path, lines: list[list[str]], n_train: int | None, n_test: int | None, seed: int
) -> tuple[list[list[str]], list[list[str]]]:
    n = len(lines)
    try:
        a_fifth = with_a_fifth_to_test(n)
    except DataError as refusal:
        raise DataError(f"{place} holds {refusal}") from None
    train = n_train or (max(1, n - n_test) if n_test else a_fifth[0])
    test = n_test or (max(1, n - n_train) if n_train else a_fifth[1])
    first, second = split_indices(n, train, test, seed)
    return [lines[i] for i in first], [lines[i] for i in second]


def _some(lines: list[list[str]], n: int, seed: int) -> list[list[str]]:
    return [lines[i] for i in split_indices(len(lines), n, 0, seed)[0]]


def _vocabulary(lines: list[list[str]], most: int | None, at_least: int) -> tuple[str, ...]:
    counts = Counter(unit for line in lines for unit in line)
    counts.pop(RARE, None)  # a file in which rare words are marked already
    often = [unit for unit, n in counts.items() if n >= at_least]
    kept = sorted(often, key=lambda unit: (-counts[unit], unit))
    return (END, RARE, *sorted(kept[: None if most is None else most - 2]))
