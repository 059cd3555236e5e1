"""Which runs train together."""

from __future__ import annotations

from pathlib import Path

from tiny_study import TINY, tiny_plan

from pyrovae.study.plan.batches import batches, program


def test_inputs_of_the_program_do_not_part_runs(tmp_path: Path) -> None:
    text = TINY.replace("objective: elbo", "objective: beta").replace(
        "grid:\n  prior: [standard_normal, student_t]",
        "  prior: laplace\ngrid:\n"
        "  objective.beta: [1.0, {schedule: linear, from: 0, to: 4, steps: 50}]\n"
        "  training.lr: [0.001, 0.01]\n  training.steps: [60, 90]",
    )
    runs = tiny_plan(tmp_path, text=text).runs
    assert len(runs) == 16
    assert len({program(run) for run in runs}) == 1


def test_structure_parts_runs(tmp_path: Path) -> None:
    text = TINY + "  latent_dim: [2, 3]\n  training.batch_size: [16, 32]\n"
    text += "  training.precision: [float32, bf16]\n"
    text = text.replace("seeds: 2\n", "").replace("grid:", "seeds: 2\ngrid:")
    runs = tiny_plan(tmp_path, text=text).runs
    assert len(runs) == 32
    assert len({program(run) for run in runs}) == 16
    assert {len({r.config.seed for r in task.runs}) for task in batches(runs, 4)} == {2}


def test_groups_are_cut_into_equal_parts(tmp_path: Path) -> None:
    runs = tiny_plan(tmp_path, "seeds=11", "grid.prior=[laplace]").runs
    tasks = batches(runs, 4)
    assert [len(task.runs) for task in tasks] == [4, 4, 3]
    assert {task.size for task in tasks} == {4}
    assert [run for task in tasks for run in task.runs] == list(runs)
    assert [task.size for task in batches(runs, 1)] == [1] * 11
    assert tasks[0].without([runs[0].id]).runs == runs[1:4]
