"""Sentences of a small grammar, made on demand, whose factors are known.

A sentence is ``the SUBJECT VERB the OBJECT MODIFIERS``: its subject is singular or plural, its verb
has one of three tenses and may be denied, and up to two modifiers stand at its end. Every
combination of factors is a sentence, and no two are the same sentence.

All sentences are equally likely, so the best that any model can reach is known: the logarithm of
their number, in nats for each sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.grids import FactorGrid
from pyrovae.datasets.own_files.content import Content
from pyrovae.datasets.own_files.texts import END, coded
from pyrovae.datasets.splits import Count, Seed, split_indices

SUBJECTS = ("cat", "dog", "girl", "farmer", "teacher", "robot", "doctor", "singer")
#: Regular ones: the plain form, that of the third person, and that of the past.
VERBS = tuple(
    (verb, verb + ("es" if verb.endswith("sh") else "s"), verb + "ed")
    for verb in ("help", "follow", "paint", "push", "want", "watch")
)
OBJECTS = ("ball", "tree", "horse", "house", "book", "car", "table", "lamp")
NUMBERS = ("singular", "plural")
TENSES = ("present", "past", "future")
POLARITIES = ("positive", "negative")
#: What stands at the end; the number of these parts is the factor ``length``.
MODIFIERS = (("again",), ("in", "the", "garden"))

_NAMES = ("subject", "number", "verb", "tense", "polarity", "object", "length")
#: Words of the longest sentence, and its end.
LENGTH = 12


@dataclass(frozen=True)
class Grammar:
    """Which sentences there are.

    Attributes
    ----------
    subjects, verbs, objects
        How many of each, the first of those that are known.

    Examples
    --------
    >>> grammar = Grammar(subjects=2, verbs=2, objects=2)
    >>> grammar.factors
    FactorGrid(names=('subject', 'number', 'verb', 'tense', 'polarity', 'object', 'length'), \
sizes=(2, 2, 2, 3, 2, 2, 3))
    >>> grammar.sentence([1, 1, 0, 0, 1, 0, 1])
    'the dogs do not help the ball again'
    """

    subjects: int = len(SUBJECTS)
    verbs: int = len(VERBS)
    objects: int = len(OBJECTS)

    @property
    def _sizes(self) -> tuple[int, ...]:
        kinds = len(NUMBERS), self.verbs, len(TENSES), len(POLARITIES)
        return (self.subjects, *kinds, self.objects, len(MODIFIERS) + 1)

    @property
    def factors(self) -> FactorGrid:
        """The factors that have more than one value."""
        kept = {name: n for name, n in zip(_NAMES, self._sizes, strict=True) if n > 1}
        return FactorGrid(tuple(kept), tuple(kept.values()))

    def words(self, point: int) -> list[str]:
        """Return the words of a sentence by its number on the grid."""
        (row,) = FactorGrid(_NAMES, self._sizes).factors(np.array([point]))
        subject, number, verb, tense, polarity, thing, length = row.tolist()
        noun = SUBJECTS[subject] + ("s" if NUMBERS[number] == "plural" else "")
        tail = [word for part in MODIFIERS[:length] for word in part]
        predicate = _predicate(VERBS[verb], NUMBERS[number], TENSES[tense], POLARITIES[polarity])
        return ["the", noun, *predicate, "the", OBJECTS[thing], *tail]

    def sentence(self, factors: list[int]) -> str:
        """Return a sentence by its factor indices, in the order of ``factors.names``."""
        return " ".join(self.words(int(self.factors.index(np.array([factors]))[0])))


def _predicate(verb: tuple[str, str, str], number: str, tense: str, polarity: str) -> list[str]:
    plain, third, past = verb
    singular, denied = number == "singular", polarity == "negative"
    if tense == "future":
        return ["will", *["not"] * denied, plain]
    if denied:
        helper = "did" if tense == "past" else "does" if singular else "do"
        return [helper, "not", plain]
    return [past if tense == "past" else third if singular else plain]


def vocabulary() -> tuple[str, ...]:
    """Return all words of the whole grammar, sorted, behind what ends a sentence."""
    words = {"the", "will", "not", "did", "does", "do"}
    words |= {noun + ending for noun in SUBJECTS for ending in ("", "s")} | set(OBJECTS)
    words |= {form for verb in VERBS for form in verb}
    words |= {word for part in MODIFIERS for word in part}
    return (END, *sorted(words))


@DATASETS.register("grammar")
def grammar(
    *,
    n_train: Count = 8000,
    n_test: Count = 2000,
    seed: Seed = 0,
    subjects: Annotated[int, Field(gt=0, le=len(SUBJECTS))] = len(SUBJECTS),
    verbs: Annotated[int, Field(gt=0, le=len(VERBS))] = len(VERBS),
    objects: Annotated[int, Field(gt=0, le=len(OBJECTS))] = len(OBJECTS),
) -> Dataset:
    """Sentences of known subject, number, verb, tense, polarity, object and length.

    Observations are 12 whole numbers: words by their place in a vocabulary of 52, whatever the
    size of the grammar; 0 ends a sentence and fills the rest. The factors are those that have more
    than one value. All sentences are equally likely: of 13,824 by default, so that no model of
    them has more than -9.53 nats a sentence.

    Parameters
    ----------
    n_train, n_test
        Sizes of the random disjoint subsets of all sentences.
    seed
        Which subsets.
    subjects, verbs, objects
        How many of each there are.

    Raises
    ------
    ConfigError
        If more sentences are asked for than there are.

    References
    ----------
    pyrovae's own; as a grid of factors after dSprites: Matthey, Higgins, Hassabis, Lerchner (2017)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("grammar", n_train=100, n_test=50)
    >>> data.train.values.shape, len(data.vocabulary)
    (torch.Size([100, 12]), 52)
    >>> data.factor_names, data.factor_sizes  # doctest: +NORMALIZE_WHITESPACE
    (('subject', 'number', 'verb', 'tense', 'polarity', 'object', 'length'), (8, 2, 6, 3, 2, 8, 3))
    """
    made = Grammar(subjects, verbs, objects)
    grid, known = made.factors, vocabulary()
    index = np.concatenate(split_indices(len(grid), n_train, n_test, seed))
    codes = coded([made.words(int(point)) for point in index], known, LENGTH)
    values, factors = torch.from_numpy(codes.astype(np.float32)), grid.factors(index)
    dataset = Dataset(
        "grammar",
        train=Split(values[:n_train], factors[:n_train]),
        test=Split(values[n_train:], factors[n_train:]),
        factor_names=grid.names,
        factor_sizes=grid.sizes,
    )
    return Content(values, vocabulary=known).told(dataset)
