"""Text and the grammar: what is observed says what was written, factors and all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import load_dataset
from pyrovae.datasets.grammar import LENGTH, Grammar, vocabulary
from pyrovae.datasets.own_files.texts import RARE, told

LINES = [f"the cat sat on mat {'again ' * (i % 3)}" for i in range(12)] + ["A dog ran", "a DOG ran"]


def test_every_combination_of_factors_is_a_sentence_of_its_own() -> None:
    grammar = Grammar(subjects=3, verbs=6, objects=2)
    sentences = [grammar.words(point) for point in range(len(grammar.factors))]
    assert len({" ".join(words) for words in sentences}) == len(grammar.factors)
    assert max(map(len, sentences)) == LENGTH - 1
    assert {word for words in sentences for word in words} <= set(vocabulary())
    whole = Grammar()
    used = {word for point in range(len(whole.factors)) for word in whole.words(point)}
    assert used == set(vocabulary()[1:])


@pytest.mark.parametrize(
    ("factors", "sentence"),
    [
        ([0, 0, 0, 0, 0, 0, 0], "the cat helps the ball"),
        ([1, 1, 5, 1, 0, 1, 1], "the dogs watched the tree again"),
        ([0, 0, 3, 0, 0, 0, 2], "the cat pushes the ball again in the garden"),
        ([0, 0, 3, 0, 1, 0, 0], "the cat does not push the ball"),
        ([0, 1, 3, 0, 1, 0, 0], "the cats do not push the ball"),
        ([0, 1, 3, 1, 1, 0, 0], "the cats did not push the ball"),
        ([0, 0, 3, 2, 1, 0, 0], "the cat will not push the ball"),
        ([0, 0, 3, 2, 0, 0, 0], "the cat will push the ball"),
    ],
)
def test_sentences_are_english(factors: list[int], sentence: str) -> None:
    assert Grammar().sentence(factors) == sentence


def test_the_grammar_as_data() -> None:
    data = load_dataset("grammar", n_train=60, n_test=30, subjects=1, verbs=2)
    assert data.factor_names == ("number", "verb", "tense", "polarity", "object", "length")
    assert data.factor_sizes == (2, 2, 3, 2, 8, 3)
    assert data.event_shape == (LENGTH,)
    assert data.train.factors is not None
    grammar = Grammar(subjects=1, verbs=2)
    for row, factors in zip(data.train.values[:20].tolist(), data.train.factors, strict=False):
        assert " ".join(told(row, data.vocabulary)) == grammar.sentence(factors.tolist())
        over = [code == 0 for code in row]
        assert over[-1]
        assert all(b for a, b in pairwise(over) if a)
    both = torch.cat([data.train.values, data.test.values])
    assert len(both.unique(dim=0)) == 90
    with pytest.raises(ConfigError, match="there are only"):
        load_dataset("grammar", n_train=60, n_test=30, subjects=1, verbs=1, objects=1)


def _file(folder: Path, name: str, lines: list[str]) -> str:
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return str(folder / name)


def test_text_has_ends_lengths_and_rare_words(tmp_path: Path) -> None:
    train, test = _file(tmp_path, "a.txt", LINES), _file(tmp_path, "b.txt", ["the bird sat", "a"])
    data = load_dataset("text", path=train, test=test, lower=True)
    assert data.vocabulary[:2] == ("", RARE)
    assert list(data.vocabulary[2:]) == sorted(
        ["the", "cat", "sat", "on", "mat", "again", "a", "dog", "ran"]
    )
    assert data.event_shape == (8,)  # the longest line has seven words
    assert told(data.test.values[0].tolist(), data.vocabulary) in (["the", RARE, "sat"], ["a"])
    assert (data.train.values[:, -1] == 0).all()
    often = load_dataset("text", path=train, test=test, lower=True, at_least=5)
    assert set(often.vocabulary[2:]) == {"the", "cat", "sat", "on", "mat", "again"}
    few = load_dataset("text", path=train, test=test, lower=True, vocabulary=4)
    assert len(few.vocabulary) == 4
    short = load_dataset("text", path=train, test=test, length=3)
    assert short.event_shape == (3,)
    letters = load_dataset("text", path=train, unit="characters", n_train=10, n_test=4)
    assert "t" in letters.vocabulary
    assert (len(letters.train), len(letters.test)) == (10, 4)
    assert often.fingerprint != data.fingerprint


def test_a_random_split_has_the_vocabulary_of_its_training_lines(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.txt", [f"word{i} same" for i in range(20)])
    data = load_dataset("text", path=path)
    assert (len(data.train), len(data.test)) == (16, 4)
    assert len(data.vocabulary) == 2 + 16 + 1
    assert (data.test.values[:, 0] == 1).all()  # never seen in training
    again = load_dataset("text", path=path)
    assert again.fingerprint == data.fingerprint
    assert not np.array_equal(
        load_dataset("text", path=path, seed=1).train.values, data.train.values
    )


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"path": "none.txt"}, DataError, "no file or folder 'none.txt'"),
        ({"n_train": 100}, ConfigError, "only 14"),
        ({"vocabulary": 2}, ConfigError, "greater than 2"),
        ({"unit": "letters"}, ConfigError, "unit"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    path = _file(tmp_path, "a.txt", LINES)
    with pytest.raises(error, match=message):
        load_dataset("text", **({"path": path} | given))
