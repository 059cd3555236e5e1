"""Which steps are compiled is decided by what is to be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_study import tiny_plan

from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.batches import batches
from pyrovae.study.plan.compiling import COMPILE_SECONDS, is_compiled, pays, saving, told, verdicts


def test_long_training_is_compiled_and_short_is_not(tmp_path: Path) -> None:
    short = verdicts(tiny_plan(tmp_path))
    assert [(v.runs, v.steps, v.pays) for v in short] == [(2, 120, False)] * 2
    long = verdicts(tiny_plan(tmp_path, "training.steps=100000"))
    assert [v.pays for v in long] == [True, True]
    assert [v.program for v in long] == [v.program for v in short]
    assert long[0].saved == pytest.approx(short[0].saved * 100_000 / 60)


def test_runs_of_a_program_share_the_cost(tmp_path: Path) -> None:
    alone = pays(20_000, 32, (1, 16, 16))
    assert not alone
    plan = tiny_plan(tmp_path, "training.steps=20000", "seeds=4")
    assert all(v.pays for v in verdicts(plan))
    # What is done already counts too: a study goes on as it began.
    assert saving(20_000, 32, (1, 16, 16)) * 4 == pytest.approx(verdicts(plan)[0].saved)


def test_larger_minibatches_save_more() -> None:
    assert saving(100, 128, (1, 64, 64)) > saving(100, 128, (1, 16, 16)) > 0


def test_a_verdict_says_why(tmp_path: Path) -> None:
    (line,) = told(verdicts(tiny_plan(tmp_path)))
    assert line == (
        "not compiled: 2 programs of 2 runs, 120 steps in all: saves 0 CPU-s, "
        f"costs {COMPILE_SECONDS:.0f}"
    )


def test_tasks_are_compiled_as_the_verdicts_say(tmp_path: Path) -> None:
    first, second = batches(tiny_plan(tmp_path).runs, 2)
    assert [is_compiled(first, {first.program}), is_compiled(second, {first.program})] == [
        True,
        False,
    ]
    assert is_compiled(first, True)
    assert not is_compiled(first, False)


def test_a_small_study_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("pyrovae.training.stepper.compile_step", refuse)
    plan = tiny_plan(tmp_path, "seeds=1", "grid.prior=[standard_normal]", "training.steps=4")
    assert run_plan(plan, tmp_path, RunOptions("inline")).done == 1
    long = replace(plan, name="long", runs=tiny_plan(tmp_path, "training.steps=10000000").runs[:1])
    (reason,) = run_plan(long, tmp_path, RunOptions("inline")).failed.values()
    assert "compiled" in reason
