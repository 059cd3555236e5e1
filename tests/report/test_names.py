"""Names that people read."""

from __future__ import annotations

import doctest

import pytest

from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.report.look import names


def test_examples_in_the_docstrings() -> None:
    failed, tried = doctest.testmod(names)
    assert tried > 5
    assert failed == 0


@pytest.mark.parametrize("name", [*PRIORS, *POSTERIORS])
def test_every_registered_name_loses_its_underscores_and_keeps_its_letters(name: str) -> None:
    shown = names.display(name)
    assert "_" not in shown
    plain = shown.lower().replace("-", " ").replace("–", " ")
    assert plain == name.replace("_", " ")


def test_a_name_nobody_knows_is_shown_as_words() -> None:
    assert names.display("my_spiky_prior(width=0.5)") == "my spiky prior (width = 0.5)"


def test_values_that_are_lists_stay_whole() -> None:
    shown = names.display("mlp(hidden=[256, 128], depth=2.0)")
    assert shown == "MLP (hidden = [256, 128], depth = 2)"


@pytest.mark.parametrize("text", ["../../etc", "a/b\\c", "β = 4 | σ"])
def test_slugs_are_safe_file_names(text: str) -> None:
    assert not set("/\\ |=") & set(names.slug(text))
    assert not names.slug(text).startswith(".")
