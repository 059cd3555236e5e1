"""How long a run trains, and its learning rate, where training goes on until it has settled."""

from __future__ import annotations

import math

import hypothesis
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim.lr_scheduler import ReduceLROnPlateau

import pyrovae
from pyrovae.core.seeded import seeded
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.store.history import settled_of
from pyrovae.training import LossProgram, Member, Record, Snapshot, Trainer, TrainingSettings
from pyrovae.training.course import Course


def test_a_fixed_number_of_steps_follows_its_learning_rate() -> None:
    lr = {"schedule": "cosine", "from": 1e-3, "to": 0.0, "steps": 100}
    course = Course(TrainingSettings(steps=100, records=4, lr=lr))
    assert not course.waits
    assert course.end == 100
    assert [course.next_mark(s) for s in (0, 24, 25, 99)] == [25, 25, 50, 100]
    assert course.rate(50) == pytest.approx(5e-4)


def test_the_rate_falls_over_a_fifth_of_the_steps_once_settled() -> None:
    course = Course(TrainingSettings(steps=1200, records=12, lr=1e-2, until="settled"))
    assert course.waits
    course.settle(500)
    assert (course.turn, course.end, course.waits) == (500, 600, False)
    assert [course.rate(s) for s in (0, 499, 500)] == [1e-2] * 3
    assert course.rate(550) == pytest.approx(1e-2 * (1 + math.cos(math.pi / 2)) / 2)
    assert 0 < course.rate(599) < 1e-5
    assert course.is_mark(600)
    assert course.next_mark(500) == 600


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 7, 100, 1201])
def test_the_fall_is_within_the_most_steps(steps: int) -> None:
    course = Course(TrainingSettings(steps=steps, records=1, lr=1.0, until="settled"))
    assert course.end == steps
    for settled in range(1, steps + 1):
        course = Course(TrainingSettings(steps=steps, records=1, lr=1.0, until="settled"))
        course.settle(settled)
        assert settled <= course.end <= steps or course.end == steps


@pytest.mark.parametrize(
    "lr",
    [
        {"schedule": "cosine", "from": 1e-3, "to": 0.0, "steps": 100},
        {"schedule": "cyclical", "from": 1e-4, "to": 1e-3, "steps": 10},
    ],
)
def test_a_rate_that_falls_by_itself_is_refused(lr: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="does not fall"):
        TrainingSettings(lr=lr, until="settled")
    warm_up = {"schedule": "linear", "from": 0.0, "to": 1e-3, "steps": 10}
    assert TrainingSettings(lr=warm_up, until="settled")


PLATEAU = {"schedule": "plateau", "from": 1.0, "patience": 0, "threshold": 0.0, "to": 0.005}


def test_on_a_plateau_the_rate_falls_from_the_record_on_that_says_so() -> None:
    settings = TrainingSettings(steps=100, records=10, lr=PLATEAU)
    course = Course(settings)
    assert course.heeds
    assert not course.waits  # its end is known
    losses = [(10, 5.0), (20, 4.0), (30, 4.5), (40, 3.0), (50, 3.0), (60, 3.0), (70, 3.0)]
    course.see([(step, loss, float("nan")) for step, loss in losses[:2]])
    course.see([(step, loss, float("nan")) for step, loss in losses[2:]])
    rates = [course.rate(step) for step in (0, 29, 30, 49, 50, 60, 70, 99)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.005, 0.005, 0.005])
    again = Course(settings)  # as after an interruption
    again.see([(step, loss, loss) for step, loss in course.seen])
    assert course.seen == losses
    assert [again.rate(step) for step in range(100)] == [course.rate(s) for s in range(100)]
    plain = Course(TrainingSettings(steps=100, records=10, lr=1.0))
    plain.see([(10, 5.0, 5.0)])
    assert (plain.heeds, plain.seen) == (False, [])


@hypothesis.settings(deadline=None)  # torch.optim imports its compiler at the first use
@given(losses=st.lists(st.floats(0.01, 10), max_size=40), patience=st.integers(0, 3),
       cooldown=st.integers(0, 3), threshold=st.sampled_from([0.0, 1e-4, 0.2]))  # fmt: skip
def test_the_rule_of_a_plateau_is_pytorchs(
    losses: list[float], patience: int, cooldown: int, threshold: float
) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    numbers = {"factor": 0.5, "patience": patience, "cooldown": cooldown, "threshold": threshold}
    course = ReduceLROnPlateau(optimizer, min_lr=0.01, eps=0, **numbers)
    expected = []
    for loss in losses:
        course.step(loss)
        expected.append(optimizer.param_groups[0]["lr"])
    rule = {"schedule": "plateau", "from": 1.0, "to": 0.01, **numbers}
    assert TrainingSettings(lr=rule).lr.rates(losses) == pytest.approx(expected)


def test_the_loss_on_validation_data_may_decide() -> None:
    settings = TrainingSettings(steps=100, records=10, lr={**PLATEAU, "watch": "validation"})
    assert settings.validates
    course = Course(settings)
    course.see([(10, 5.0, 5.0), (20, 4.0, 6.0)])
    assert course.rate(20) == pytest.approx(0.1)
    assert course.seen == [(10, 5.0), (20, 6.0)]


def test_of_negative_losses_a_fall_is_a_share_of_their_size() -> None:
    rule = TrainingSettings(lr={**PLATEAU, "threshold": 0.1}).lr
    assert rule.rates([-100.0, -111.0, -121.0]) == pytest.approx([1, 1, 0.1])


def test_what_follows_a_fallen_rate_is_no_evidence_that_a_run_has_settled() -> None:
    n = 31
    history = pd.DataFrame(
        {
            "step": np.arange(n) * 100,
            "loss": 100.0,
            "distortion": 90.0,
            "rate": 10.0,
            "elbo": -100.0,
            "informative_units": 2,
            "used_units": 2,
            "noise_share": [[0.1, 0.1, 1.0]] * n,
            "turned": False,
        }
    )
    history.loc[0, "loss"] = np.nan
    steady = TrainingSettings(steps=3000, records=30, lr=1.0)
    assert settled_of(history, steady, 0).yes
    falling = TrainingSettings(steps=3000, records=30, lr={**PLATEAU, "patience": 3})
    found = settled_of(history, falling, 0)
    assert found.yes is False
    assert "at full learning rate" in found.told


def test_defaults_enter_no_identity() -> None:
    assert "until" not in TrainingSettings().model_dump()
    assert TrainingSettings(until="settled").model_dump()["until"] == "settled"


def _program(seed: int = 0) -> LossProgram:
    vae = pyrovae.build(6, latent_dim=2, network={"name": "mlp", "hidden": [8]}, seed=seed)
    with seeded(seed):
        return LossProgram(vae, OBJECTIVES.create("elbo"))


def _settles(step: int):
    """Say that a run is settled from the first record at or after a step."""

    def ask(records: list[Record]) -> int | None:
        return next((r.step for r in records if r.step >= step), None)

    return ask


X = (torch.rand(40, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
SETTINGS = TrainingSettings(steps=120, records=12, batch_size=8, lr=1e-2, until="settled")


def test_training_ends_after_the_fall_and_members_end_by_themselves() -> None:
    members = [Member(_program(s), s, SETTINGS, settled=_settles(s)) for s in (20, 50, 1000)]
    ended = sorted(
        Trainer(members[0].program, X, SETTINGS, compiled=False, size=3).train_together(members),
        key=lambda e: e.member,
    )
    assert [e.records[-1].step for e in ended] == [24, 60, 120]
    # One that trains alone ends where it ends beside others, with the same parameters.
    alone = Member(_program(50), 50, SETTINGS, settled=_settles(50))
    (one,) = Trainer(alone.program, X, SETTINGS, compiled=False).train_together([alone])
    assert [r.step for r in one.records] == [r.step for r in ended[1].records]
    for a, b in zip(alone.program.parameters(), members[1].program.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("left_after", [30, 50])
def test_resuming_continues_to_the_bit(left_after: int) -> None:
    whole = Member(_program(), 0, SETTINGS, settled=_settles(50))
    trainer = Trainer(whole.program, X, SETTINGS, compiled=False)
    (all_of_it,) = trainer.train_together([whole])
    kept: list[tuple[Snapshot, list[Record]]] = []
    first = Member(_program(), 0, SETTINGS, settled=_settles(50), keep=lambda *k: kept.append(k))
    stopped = [0]

    def stop() -> bool:
        stopped[0] += 1
        return False

    for _ in trainer.train_together([first], stop=stop, keep_seconds=0.0):
        pass
    snapshot, records = next((s, list(r)) for s, r in kept if s.step >= left_after)
    before = [r for r in records if r.step <= snapshot.step]

    def ask(later: list[Record]) -> int | None:
        return _settles(50)([*before, *later])

    again = Member(_program(), 0, SETTINGS, settled=ask, start=snapshot)
    (rest,) = trainer.train_together([again])
    assert rest.records[-1].step == all_of_it.records[-1].step == 60
    for a, b in zip(whole.program.parameters(), again.program.parameters(), strict=True):
        assert torch.equal(a, b)
