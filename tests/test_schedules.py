"""Schedules at their ends, in between, and as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.errors import ConfigError
from pyrovae.objectives import OBJECTIVES
from pyrovae.schedules import at
from pyrovae.training import TrainingSettings


def test_values_by_hand() -> None:
    linear = {"schedule": "linear", "from": 1, "to": 3, "steps": 4}
    assert [at(linear, step) for step in range(6)] == [1, 1.5, 2, 2.5, 3, 3]
    cosine = {"schedule": "cosine", "from": 1, "to": 0, "steps": 4}
    expected = [1, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5, 0, 0]
    assert [at(cosine, step) for step in range(6)] == pytest.approx(expected)
    cyclical = {"schedule": "cyclical", "from": 0, "to": 1, "steps": 4, "ramp": 0.5}
    assert [at(cyclical, step) for step in range(6)] == [0, 0.5, 1, 1, 0, 0.5]
    assert at(0.25, 10**6) == 0.25


@given(
    kind=st.sampled_from(["linear", "cosine", "cyclical"]),
    start=st.floats(-5, 5),
    to=st.floats(-5, 5),
    steps=st.integers(1, 100),
    step=st.integers(0, 1000),
)
def test_values_stay_between_the_ends(
    kind: str, start: float, to: float, steps: int, step: int
) -> None:
    value = at({"schedule": kind, "from": start, "to": to, "steps": steps}, step)
    assert min(start, to) - 1e-12 <= value <= max(start, to) + 1e-12


def test_schedules_survive_resolution() -> None:
    given = {"schedule": "linear", "from": 0.0, "to": 4.0, "steps": 10}
    resolved = OBJECTIVES.resolve("beta", {"beta": given})
    assert resolved["beta"] == given
    assert OBJECTIVES.create("beta", **resolved).hyperparameters(5) == {"beta": 2.0}


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match="schedule"):
        OBJECTIVES.resolve("beta", {"beta": {"schedule": "exponential", "from": 0, "to": 1}})
    with pytest.raises(ValueError, match="must not be negative"):
        TrainingSettings(lr={"schedule": "linear", "from": 1e-3, "to": -1, "steps": 5})
    with pytest.raises(ValueError, match="greater than 0"):
        TrainingSettings(lr=0.0)
