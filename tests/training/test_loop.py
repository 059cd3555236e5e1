"""The loop: reproducible, independent of company, and honest about divergence."""

from __future__ import annotations

import pytest
import torch
from families import small_images, small_program
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.core.noise import Draw
from pyrovae.training import Diverged, Trainer, TrainingSettings
from pyrovae.training.streams import CHUNK, BatchStream, NoiseStream, generator

SETTINGS = TrainingSettings(steps=120, batch_size=16, records=4, lr=1e-2)


def _trained(seed: int, trainer: Trainer | None = None) -> tuple[list, dict]:
    program = small_program(seed=seed)
    trainer = trainer or Trainer(program, small_images(), SETTINGS, compiled=False)
    history = trainer.train(program, seed)
    return history, {name: p.detach() for name, p in program.named_parameters()}


def test_a_run_does_not_depend_on_what_was_trained_before_it() -> None:
    shared = Trainer(small_program(), small_images(), SETTINGS, compiled=False)
    _trained(7, shared)
    torch.manual_seed(99)
    history, params = _trained(8, shared)
    alone_history, alone = _trained(8)
    assert [r.loss for r in history[1:]] == [r.loss for r in alone_history[1:]]
    assert all(torch.equal(params[name], alone[name]) for name in params)


def test_seeds_differ() -> None:
    assert _trained(0)[0][-1].loss != _trained(1)[0][-1].loss


def test_history_is_complete_and_training_helps() -> None:
    history, _ = _trained(0)
    assert [r.step for r in history] == [0, 30, 60, 90, 120]
    assert history[-1].loss < history[1].loss
    assert history[-1].loss == pytest.approx(history[-1].distortion + history[-1].rate, rel=1e-4)


def test_divergence_is_found_at_its_step() -> None:
    program = small_program()
    settings = SETTINGS.model_copy(update={"lr": 1e30})
    trainer = Trainer(program, small_images(), settings, compiled=False)
    with pytest.raises(Diverged) as caught:
        trainer.train(program, 0)
    # The first step's loss is finite; its update ruins the parameters.
    assert 1 <= caught.value.step <= 3
    assert "loss" in caught.value.cause or "parameter" in caught.value.cause


@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 70),
    seed=st.integers(0, 10),
    steps=st.integers(1, 12),
)
def test_batches_visit_every_point_once_an_epoch(
    n: int, batch_size: int, seed: int, steps: int
) -> None:
    stream = BatchStream(n, batch_size, seed)
    visited = torch.cat([stream.at(step) for step in range(steps)])
    assert len(visited) == steps * batch_size
    for start in range(0, len(visited) - n + 1, n):
        assert sorted(visited[start : start + n].tolist()) == list(range(n))
    # Any step can be asked for directly: streams are counters, not states.
    assert torch.equal(
        BatchStream(n, batch_size, seed).at(steps - 1), visited[(steps - 1) * batch_size :]
    )


@given(step=st.integers(0, 5 * CHUNK), seed=st.integers(0, 10))
def test_noise_depends_on_seed_and_step_alone(step: int, seed: int) -> None:
    draws = [Draw("normal_", (3, 2), torch.float32), Draw("uniform_", (4,), torch.float32, (-1, 1))]
    walked = NoiseStream(draws, seed)
    for earlier in range(0, step, 17):
        walked.at(earlier)
    direct = NoiseStream(draws, seed).at(step)
    assert all(torch.equal(a, b) for a, b in zip(walked.at(step), direct, strict=True))
    assert direct[1].min() >= -1


def test_generators_of_other_names_are_independent() -> None:
    a = torch.randn(20_000, generator=generator(0, "noise", 0))
    b = torch.randn(20_000, generator=generator(0, "noise", 1))
    # Correlation of independent normals: standard error 1/sqrt(n), five of them.
    assert abs((a * b).mean()) < 5 / 20_000**0.5
