"""From which step on an objective no longer changes: nothing is concluded before it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pyrovae.api.parts import configured
from pyrovae.objectives import OBJECTIVES

_RAMP = {"schedule": "linear", "from": 0.0, "to": 1.0, "steps": 300}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("elbo", 0),
        ({"name": "beta", "beta": _RAMP}, 300),
        ({"name": "beta", "beta": _RAMP | {"schedule": "cyclical"}}, math.inf),
        ({"name": "beta", "beta": _RAMP | {"schedule": "cyclical", "cycles": 4}}, 1200),
        ({"name": "annealed", "steps": 700}, 700),
        ({"name": "annealed", "steps": 700, "to": _RAMP | {"from": 0.5, "steps": 900}}, 900),
        ({"name": "annealed", "steps": 700, "shape": "cyclical"}, math.inf),
        ({"name": "lagging", "until": 400}, 400),
    ],
)
def test_the_step_is_told(given: Any, expected: float) -> None:
    parameters = {k: v for k, v in configured(OBJECTIVES, given).items() if k != "name"}
    assert OBJECTIVES[configured(OBJECTIVES, given)["name"]].constant_from(parameters) == expected


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_nothing_changes_from_there_on(name: str) -> None:
    parameters = {k: v for k, v in configured(OBJECTIVES, name).items() if k != "name"}
    step = OBJECTIVES[name].constant_from(parameters)
    assert step < 1e6
    made = OBJECTIVES.create(name)
    # An instance says the same as its configuration, at least.
    assert type(made).constant_from(vars(made)) == step
    first = int(step)
    seen = [made.hyperparameters(first + k) for k in (0, 1, 7, 10_000)]
    assert all(one == seen[0] for one in seen)
    updates = [made.groups(first + k) for k in (0, 1, 7)]
    for group in updates[0]:
        assert len({(u[group].on, u[group].lr) for u in updates}) == 1
