"""Steps in place are the steps that they are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import small_images, small_program
from torch.utils._pytree import tree_map

from pyrovae.core.noise import draw_one
from pyrovae.datasets.base import as_float
from pyrovae.training import Member, Trainer, TrainingSettings
from pyrovae.training.ensemble import many, step_of
from pyrovae.training.step import LossProgram, State
from pyrovae.training.stepper import Stepper

STEPS, BATCH, CPU = 6, 16, torch.device("cpu")


def _inputs(program: LossProgram, size: int, seed: int) -> Any:
    """Return the inputs of some steps, with other indices, noise and learning rates in each."""
    generator = torch.Generator().manual_seed(seed)
    lead = (STEPS,) if size == 1 else (STEPS, size)
    draws = program.record(as_float(small_images()[:BATCH]))
    counts = torch.arange(1.0, STEPS + 1)
    return (
        counts if size == 1 else counts.unsqueeze(1).expand(lead).clone(),
        torch.rand(lead, generator=generator) * 1e-2,
        torch.randint(len(small_images()), (*lead, BATCH), generator=generator),
        [draw_one(draw, generator, *lead) for draw in draws],
        {name: value.expand(lead).clone() for name, value in program.hyper(0).items()},
    )


def _start(program: LossProgram, size: int) -> State:
    return many(State.of(program), size, CPU)


@pytest.mark.parametrize(
    ("names", "size", "compiled"),
    [
        (("vampprior", "full_rank_normal", "gaussian"), 1, False),
        (("vampprior", "full_rank_normal", "gaussian"), 3, False),
        (("standard_normal", "mean_field_normal", "bernoulli"), 2, True),
    ],
)
def test_steps_in_place_equal_the_steps_one_by_one(
    names: tuple[str, str, str], size: int, compiled: bool
) -> None:
    program = small_program(*names)
    step, data = step_of(program, size), small_images()
    blank = tree_map(torch.zeros_like, _inputs(program, size, 0))
    stepper = Stepper(step, _start(program, size), blank, data, compiled=compiled)
    for seed in (1, 2):  # the second time from the start again, in the same tensors
        inputs = _inputs(program, size, seed)
        stepper.load(_start(program, size))
        told = stepper.advance(inputs, STEPS)
        state = _start(program, size)
        params, moments = state.params, state.moments
        for i in range(STEPS):
            count, lr, index, noise, hyper = tree_map(lambda rows, i=i: rows[i], inputs)
            params, moments, _, values = step(
                params, moments, state.buffers, count, lr, data, index, noise, hyper
            )
            torch.testing.assert_close(told[i], values, rtol=1e-4, atol=1e-4)
        for name, expected in params.items():
            torch.testing.assert_close(
                stepper.state.params[name], expected, rtol=1e-3, atol=1e-4, msg=name
            )


def test_fewer_steps_than_there_is_room_for() -> None:
    program = small_program()
    inputs = _inputs(program, 1, 0)
    blank = tree_map(torch.zeros_like, inputs)
    stepper = Stepper(program.step, _start(program, 1), blank, small_images(), compiled=False)
    stepper.load(_start(program, 1))
    all_at_once = stepper.advance(inputs, STEPS).clone()
    stepper.load(_start(program, 1))
    first = stepper.advance(tree_map(lambda rows: rows[:2], inputs), 2).clone()
    rest = stepper.advance(tree_map(lambda rows: rows[2:], inputs), STEPS - 2)
    assert torch.equal(torch.cat([first, rest]), all_at_once)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_members_end_where_each_ends_alone() -> None:
    settings = TrainingSettings(steps=120, batch_size=BATCH, records=2)
    data = small_images().cuda()

    def members() -> list[Member]:
        return [Member(small_program(seed=i).cuda(), i, settings) for i in range(3)]

    trainer = Trainer(small_program().cuda(), data, settings, compiled=True, size=3)
    alone = Trainer(small_program().cuda(), data, settings, compiled=True)
    for ended, member in zip(trainer.train_together(members()), members(), strict=True):
        history = alone.train(member.program, member.seed)
        assert ended.records[-1].loss == pytest.approx(history[-1].loss, rel=1e-3)
        assert history[-1].loss < history[1].loss
