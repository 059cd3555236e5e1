"""Names that people read."""

from __future__ import annotations

import pytest

from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.report.look import names
from pyrovae.study.config.labels import Label


@pytest.mark.parametrize("name", [*PRIORS, *POSTERIORS])
def test_every_registered_name_loses_its_underscores_and_keeps_its_letters(name: str) -> None:
    shown = names.words(name)
    assert "_" not in shown
    plain = shown.lower().replace("-", " ").replace("–", " ")
    assert plain == name.replace("_", " ")


def test_a_name_nobody_knows_is_shown_as_words() -> None:
    label = Label("prior", "my_spiky_prior", {"width": 0.5})
    assert label.changed().shown() == "my spiky prior (width = 0.5)"


def test_only_parameters_that_are_not_the_default_are_said() -> None:
    label = Label("network", "mlp", {"hidden": [256, 256], "activation": "tanh"})
    assert label.changed().shown() == "MLP (activation = tanh)"


def test_values_of_every_kind_are_written() -> None:
    shown = Label("network", "mlp", {"hidden": [256, 128], "depth": 2.0, "rate": 1e-5}).shown()
    assert shown == "MLP (hidden = [256, 128], depth = 2, rate = 1e-05)"
    ramp = {"schedule": "cosine", "from": 1e-3, "to": 0.0, "steps": 300}
    assert names.value_text(ramp) == "cosine 0.001 to 0 in 300 steps"
    assert names.value_text([{"name": "mig", "n_bins": 5}]) == "[mig (n bins = 5)]"


@pytest.mark.parametrize("text", ["../../etc", "a/b\\c", "β = 4 | σ"])
def test_slugs_are_safe_file_names(text: str) -> None:
    assert not set("/\\ |=") & set(names.slug(text))
    assert not names.slug(text).startswith(".")
