"""Binary images drawn by intensity: once for all, or anew in each minibatch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.core.noise import draw_one
from pyrovae.datasets import DATASETS, Dataset, Split, load_dataset
from pyrovae.datasets.base import as_float
from pyrovae.datasets.binary import _uniform, drawn
from pyrovae.study.plan.planning import Plan, program_of, vae_of
from pyrovae.training import LossProgram, Member, Snapshot, Stopped, Trainer
from pyrovae.training.step import State

DIGITS = {"n_train": 200, "n_test": 60}


def test_a_draw_is_one_with_the_probability_of_its_intensity() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat_interleave(64).reshape(1, -1)
    draws = drawn(levels.expand(200, -1).contiguous(), 0)
    assert draws.dtype == torch.uint8
    assert set(draws[:].unique().tolist()) == {0, 255}
    shares = as_float(draws[:]).mean(0).reshape(256, 64).mean(1)
    expected = torch.arange(256) / 255
    # 12,800 draws a level: a standard deviation of 0.0044 at most.
    assert (shares - expected).abs().max() < 5 * 0.0044
    assert (shares[0], shares[-1]) == (0, 1)
    pairs = as_float(draws[:]).reshape(200, 256, 64)[:, 100:156]
    correlation = np.corrcoef(pairs[:, :, 0].flatten(), pairs[:, :, 1].flatten())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(200 * 56)


def test_an_observations_noise_is_a_function_of_its_place_alone() -> None:
    whole = _uniform(np.arange(9), 7, 2)
    rows = np.array([1, 2, 5, 8])
    np.testing.assert_array_equal(_uniform(rows, 7, 2), whole[rows])
    assert len(np.unique(whole)) == whole.size
    assert not np.array_equal(_uniform(np.arange(9), 7, 1), whole)
    # For ever: Philox's raw numbers are.
    raw = np.random.Philox(key=[0, 2], counter=5 * 2).random_raw(7)
    np.testing.assert_array_equal(whole[5], (raw >> np.uint64(11)) / 2.0**53)


def test_static_is_one_draw_whatever_else_is_asked_for() -> None:
    grey, first, again = (
        load_dataset("digits", **DIGITS, **asked)  # type: ignore[arg-type]
        for asked in ({}, {"binarize": "static"}, {"binarize": "static"})
    )
    assert first.grey is None
    assert first.fingerprint == again.fingerprint != grey.fingerprint
    more = load_dataset("digits", n_train=300, n_test=60, binarize="static", validation=50)
    values = torch.cat([more.train.floats(), more.validation.floats()])  # type: ignore[union-attr]
    rows = {row.numpy().tobytes() for row in values}
    assert {row.numpy().tobytes() for row in first.train.floats()} <= rows
    assert torch.equal(more.test.floats(), first.test.floats())
    assert "binarize" not in DATASETS.resolve("digits", DIGITS)


def test_dynamic_is_measured_by_the_static_draw() -> None:
    grey, static, dynamic = (
        load_dataset("digits", **DIGITS, validation=20, **asked)  # type: ignore[arg-type]
        for asked in ({}, {"binarize": "static"}, {"binarize": "dynamic"})
    )
    for which, split in dynamic.splits.items():
        assert torch.equal(split.floats(), static.splits[which].floats())
    assert torch.equal(dynamic.trained_on[:], grey.train.values[:])
    assert torch.equal(static.trained_on[:], static.train.values[:])
    assert len({grey.fingerprint, static.fingerprint, dynamic.fingerprint}) == 3


def test_only_intensities_can_be_drawn_from() -> None:
    with pytest.raises(ConfigError, match=r"holds .* of 'train': intensities") as refusal:
        load_dataset("linear_gaussian", binarize="static")
    assert refusal.value.place == "binarize"
    with pytest.raises(ConfigError, match="'static' or 'dynamic'"):
        load_dataset("digits", binarize="often")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return tiny_plan(
        tmp_path,
        "dataset={name: digits, n_train: 200, n_test: 60, binarize: dynamic}",
        "grid.prior=[standard_normal]",
        "training.steps=60",
        "training.batch_size=16",
        "evaluation.metrics=[]",
        "evaluation.points=20",
    )


def _data(plan: Plan) -> Dataset:
    (data,) = plan.datasets.values()
    return data


def test_a_step_draws_its_minibatch_from_its_own_noise(plan: Plan) -> None:
    data, config = _data(plan), plan.runs[0].config
    program = program_of(config, data)
    static = LossProgram(program.vae, program.objective)
    grey = as_float(data.trained_on[:16])
    draws = program.record(grey)
    assert (draws[0].kind, draws[0].shape) == ("uniform_", tuple(grey.shape))
    assert draws[1:] == static.record(grey)
    noise = [draw_one(draw, torch.Generator().manual_seed(1)) for draw in draws]
    state = State.of(program)
    dynamic = program.gradients(state.params, state.buffers, grey, noise, program.hyper(0), 200)
    binary = (noise[0] < grey).float()
    assert not torch.equal(binary, grey)
    fixed = static.gradients(state.params, state.buffers, binary, noise[1:], program.hyper(0), 200)
    assert torch.equal(dynamic[2], fixed[2])
    assert all(torch.equal(dynamic[0][name], fixed[0][name]) for name in fixed[0])


def _losses(plan: Plan, size: int) -> list[list[float]]:
    data = _data(plan)
    programs = [program_of(r.config, data) for r in plan.runs[:size]]
    settings = plan.runs[0].config.training
    trainer = Trainer(programs[0], data.trained_on, settings, compiled=False, size=size)
    members = [Member(p, seed, settings) for seed, p in enumerate(programs)]
    ended = sorted(trainer.train_together(members), key=lambda each: each.member)
    return [[record.loss for record in each.records[1:]] for each in ended]


def test_dynamic_runs_draw_the_same_alone_together_and_resumed(plan: Plan) -> None:
    (alone,) = _losses(plan, 1)
    together = _losses(plan, 2)
    np.testing.assert_allclose(together[0], alone, rtol=1e-5)
    assert together[1] != together[0]

    data, settings = _data(plan), plan.runs[0].config.training
    kept: list[Snapshot] = []
    program = program_of(plan.runs[0].config, data)
    trainer = Trainer(program, data.trained_on, settings, compiled=False)
    member = Member(program, 0, settings, keep=lambda snapshot, records: kept.append(snapshot))
    with pytest.raises(Stopped):
        list(trainer.train_together([member], stop=lambda: True))
    assert 0 < kept[-1].step < settings.steps
    rest = Member(program_of(plan.runs[0].config, data), 0, settings, start=kept[-1])
    (ended,) = trainer.train_together([rest])
    assert [record.loss for record in ended.records] == alone[-len(ended.records) :]


def test_fit_draws_what_a_study_draws(plan: Plan) -> None:
    data, config = _data(plan), plan.runs[0].config
    vae = vae_of(config, data.event_shape)
    settings = config.training
    pyrovae.fit(
        vae,
        data,
        steps=settings.steps,
        batch_size=settings.batch_size,
        records=settings.records,
        progress=False,
    )
    assert vae.history["loss"].tolist()[1:] == _losses(plan, 1)[0]


def test_minibatches_differ_from_epoch_to_epoch(plan: Plan) -> None:
    data = _data(plan)
    static = Dataset("x", Split(data.train.values), data.test)
    program = program_of(plan.runs[0].config, static)
    settings = plan.runs[0].config.training
    trainer = Trainer(program, static.trained_on, settings, compiled=False)
    losses = [record.loss for record in trainer.train(program, 0)[1:]]
    assert losses != _losses(plan, 1)[0]


def test_a_dynamic_study_runs_and_is_measured_on_binary_data(plan: Plan, tmp_path: Path) -> None:
    assert run(plan, tmp_path / "results").done == len(plan.runs)
    data = _data(plan)
    assert set(data.test.floats().unique().tolist()) == {0.0, 1.0}
