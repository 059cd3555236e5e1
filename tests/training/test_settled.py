"""The rule of settling, on made records whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.training.settled import Looks, Settled, first_settled, judge

UNITS = 6


def _looks(
    n: int = 31,
    *,
    bound: object = -100.0,
    loss: object = None,
    used: object = 4,
    informative: object = 4,
    told: np.ndarray | None = None,
) -> Looks:
    """Return records at every 100 steps; what is not given stands still."""
    step = np.arange(n) * 100
    rng = np.random.default_rng(0)
    if told is None:
        told = np.where(np.arange(UNITS) < 4, 0.9, 1e-3) * np.exp(rng.normal(0, 0.05, (n, UNITS)))
    level = np.broadcast_to(np.asarray(bound, float), n).copy()
    return Looks(
        step,
        -level if loss is None else np.broadcast_to(np.asarray(loss, float), n).copy(),
        np.broadcast_to(np.asarray(bound, float), n).copy(),
        np.broadcast_to(np.asarray(informative), n).copy(),
        np.broadcast_to(np.asarray(used), n).copy(),
        told,
    )


def constant(step: int) -> float:
    return 1e-3


def test_what_stands_still_is_settled() -> None:
    found = judge(_looks(), constant)
    assert found.yes
    assert found.told == "settled"
    assert found.window == (2000, 3000)
    assert found.rise == pytest.approx(0, abs=1e-9)


def test_a_rising_bound_is_not() -> None:
    # 0.4 nats in the last third, of which 0.25 would be practically none.
    found = judge(_looks(bound=-100 + 0.4e-3 * np.arange(31) * 100), constant)
    assert found.yes is False
    assert found.told == "not settled: the held-out bound rose 0.4 nats in the last third"


@pytest.mark.parametrize(("level", "settled"), [(-1000.0, True), (-100.0, False)])
def test_a_rise_is_judged_by_the_size_of_the_bound(level: float, settled: bool) -> None:
    rising = level + 0.5e-3 * np.arange(31) * 100  # 0.5 nats in the last third
    assert judge(_looks(bound=rising), constant).yes is settled


def test_a_loss_that_falls_outweighs_a_bound_that_scatters() -> None:
    noise = np.random.default_rng(7).normal(0, 0.5, 31)
    falls = 100 - 0.4e-3 * np.arange(31) * 100
    found = judge(_looks(bound=-100 + noise, loss=falls), constant)
    assert found.yes is False
    assert "the training loss fell 0.4 nats" in found.told
    # Overfitting: the loss falls, and the held-out bound does not rise, beyond its noise.
    worse = -100 - 2e-3 * np.arange(31) * 100
    assert judge(_looks(bound=worse + noise / 10, loss=falls), constant).yes


def test_a_falling_bound_is_overfitting_and_settled() -> None:
    assert judge(_looks(bound=-100 - 1e-3 * np.arange(31) * 100), constant).yes


@pytest.mark.parametrize("count", ["used", "informative"])
def test_counts_that_change_in_the_last_third(count: str) -> None:
    changed = np.where(np.arange(31) < 25, 5, 4)
    found = judge(_looks(**{count: changed}), constant)
    assert found.told == f"not settled: 4 to 5 {count} units in the last third"
    assert judge(_looks(**{count: np.where(np.arange(31) < 19, 5, 4)}), constant).yes


def test_a_unit_that_falls_slowly_is_named() -> None:
    told = np.full((31, UNITS), 0.9)
    told[:, 3] = 0.9 * np.exp(-np.arange(31) / 25)  # 0.27 at the end: still informative
    found = judge(_looks(told=told), constant)
    assert found.told == "not settled: unit 3 still falls"


def test_a_unit_that_wakes_at_a_saddle_is_named() -> None:
    told = np.full((31, UNITS), 0.9)
    told[:, 1] = told[:, 4] = 1e-4 * np.exp(np.arange(31) / 5)  # 0.04 at the end: not yet
    found = judge(_looks(told=told), constant)
    assert found.told == "not settled: units 1, 4 are waking"
    # A unit that grows so slowly that it will not get there, not even in twice the time.
    told[:, 1] = told[:, 4] = 1e-4 * np.exp(np.arange(31) / 50)
    assert judge(_looks(told=told), constant).yes


def test_standing_still_without_a_learning_rate_proves_nothing() -> None:
    # The rate falls to nothing after a third: units fell until then, and stood still afterwards.
    used = np.where(np.arange(31) < 15, 6, 4)

    def fallen(step: int) -> float:
        return 1e-3 if step < 1800 else 1e-5

    found = judge(_looks(used=used), fallen)
    assert found.yes is False
    assert found.window == (1200, 1800)
    assert "4 to 6 used units" in found.told


def test_a_count_that_changes_as_the_rate_falls() -> None:
    used = np.where(np.arange(31) < 25, 5, 4)
    found = judge(_looks(used=used), lambda step: 1e-3 if step < 2000 else 0.0)
    assert found.told == "not settled: used units went from 5 to 4 as the learning rate fell"


def test_nothing_is_concluded_before_schedules_end_nor_from_few_records() -> None:
    assert "ends at step 5,000" in judge(_looks(), constant, 5000).told
    assert "never ends" in judge(_looks(), constant, np.inf).told
    assert judge(_looks(), constant, 2400).window == (2400, 3000)
    assert "2 records in the last third" in judge(_looks(6), constant).told
    assert judge(_looks(19), constant).yes
    assert judge(_looks(18), constant).yes is False
    assert judge(_looks(6), constant).yes is False


@settings(deadline=None, max_examples=20)
@given(st.integers(4, 60))
def test_the_first_settled_step_is_where_the_rule_first_says_so(n: int) -> None:
    used = np.where(np.arange(n) < 8, np.arange(n), 4)
    looks = _looks(n, used=used)
    found = first_settled(looks, constant)
    said = [judge(looks.until(k), constant).yes for k in range(5, n + 1)]
    expected = next((int(looks.step[k + 4]) for k, yes in enumerate(said) if yes), None)
    assert found == expected
    for seen in range(0, n, 7):  # asking later changes nothing, unless it was settled before
        later = first_settled(looks, constant, seen=seen)
        if found is None or seen <= found // 100:
            assert later == found


def test_a_verdict_survives_being_stored() -> None:
    for found in (
        judge(_looks(), constant),
        Settled(None, ("unknown",)),
        judge(_looks(6), constant),
    ):
        assert repr(Settled.of(found.content())) == repr(found)
