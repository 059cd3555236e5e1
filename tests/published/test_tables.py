"""What a study's file says of papers, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError
from pyrovae.published import published_tables
from pyrovae.study.config import shipped
from pyrovae.study.config.read import load_study_file, read_study

ROW: dict[str, Any] = {"where": {"prior": "laplace"}, "value": 1.0, "read": "paper"}
TABLE: dict[str, Any] = {"source": "A & B 2018", "quantity": "elbo", "widest": 1, "rows": [ROW]}
#: A run but for its prior.
BASE: dict[str, Any] = {
    "dataset": "digits",
    "network": "mlp",
    "posterior": "mean_field_normal",
    "likelihood": "bernoulli",
    "objective": "elbo",
    "latent_dim": 2,
}


def study(**changes: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "base": BASE,
        "grid": {"prior": ["laplace", "standard_normal"]},
        "published": [{**TABLE, **changes}],
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": []}, "published[0].rows: "),
        ({"rows": [{**ROW, "read": "hearsay"}]}, "published[0].rows[0].read: "),
        ({"rows": [{**ROW, "sd": -1}]}, "published[0].rows[0].sd: "),
        ({"rows": [{**ROW, "valeu": 1}]}, "published[0].rows[0].valeu: "),
        ({"rows": [{**ROW, "where": {"prior": "laplce"}}]}, "did you mean 'laplace'"),
        ({"rows": [{**ROW, "where": {"prior": "student_t"}}]}, "is no run of this study"),
        ({"rows": [{**ROW, "where": {"prior.dff": 3}}]}, "published[0].rows[0].where.prior.dff: "),
        ({"as": "bits_per_dim"}, "published[0].dimensions: is needed"),
        ({"dimensions": 4}, "published[0].dimensions: is needed"),
        ({"widest": None}, "published[0].widest: is needed"),
        ({"by": "order", "widest": None}, "published[0].rows: an order needs two values"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as failure:
        published_tables(read_study(study(**changes)))
    assert told in str(failure.value)


def test_a_file_without_tables_and_one_that_is_no_list() -> None:
    raw = study()
    del raw["published"]
    with pytest.raises(ConfigError, match="published: is missing"):
        published_tables(read_study(raw))
    with pytest.raises(ConfigError, match="published: must be a list of tables"):
        read_study({**raw, "published": "Burda"})


def test_runs_do_not_depend_on_it() -> None:
    raw = study()
    with_it = read_study(raw)
    without = read_study({key: value for key, value in raw.items() if key != "published"})
    assert [r.config.identity("x") for r in with_it.runs] == [
        r.config.identity("x") for r in without.runs
    ]


def test_bits_per_dimension() -> None:
    # A fair coin for each of 8 dimensions is one bit each.
    table = published_tables(read_study(study(**{"as": "bits_per_dim", "dimensions": 8})))[0]
    assert table.turned(np.array([8 * np.log(0.5)])) == pytest.approx([1.0])
    negative = published_tables(read_study(study(**{"as": "negative"})))[0]
    assert negative.turned(np.array([-86.76])) == pytest.approx([86.76])


@pytest.mark.parametrize("profile", ["", "quick"])
def test_those_that_come_with_pyrovae_are_complete(profile: str) -> None:
    files = sorted((shipped.folder() / "published").glob("*.yaml"))
    assert files
    for file in files:
        for table in published_tables(load_study_file(file, profile=profile)):
            assert len(table.rows) > 1, file
