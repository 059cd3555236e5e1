"""A step that is not compiled takes fewer operations, and does the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import small_images, small_program
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.utils._pytree import tree_map

from pyrovae.core.noise import draw_one
from pyrovae.datasets.base import as_float
from pyrovae.training import Member, Trainer, TrainingSettings
from pyrovae.training.lean import lean, without_idle
from pyrovae.training.optimizers import Adam, AdamW
from pyrovae.training.step import State, trace


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_cross_entropy_and_its_gradients_are_torchs(reduction: str) -> None:
    logits = torch.cat([torch.linspace(-120, 120, 60), torch.randn(60), torch.tensor([0.0])])
    target = torch.rand(121).index_fill(0, torch.arange(10), 0.0)

    def both(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.grad_and_value(
            lambda x: (cross_entropy(x, t, reduction=reduction) * t.mean()).sum()
        )(x)

    for ours, torchs in zip(lean(both)(logits, target), both(logits, target), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)


def test_weights_of_a_cross_entropy_are_heeded() -> None:
    x, target, weight = torch.randn(3, 7).unbind()
    for asked in ({"pos_weight": weight.exp()}, {"weight": weight.exp()}):
        ours = lean(lambda asked=asked: cross_entropy(x, target, **asked))()
        assert torch.equal(ours, cross_entropy(x, target, **asked))


def _graphs() -> tuple[Any, Any]:
    program = small_program()
    state = State.of(program)
    draws = program.record(as_float(small_images()[:8]))
    arguments = (
        state.params,
        state.buffers,
        as_float(small_images()[:8]),
        [draw_one(draw, torch.Generator().manual_seed(3)) for draw in draws],
        program.hyper(0),
    )

    def gradients(params: Any, buffers: Any, x: Any, noise: Any, hyper: Any) -> Any:
        return program.gradients(params, buffers, x, noise, hyper, 100)

    plain = trace(gradients, *arguments)
    fewer = without_idle(trace(lean(gradients), *arguments))
    tree_map(
        lambda a, b: torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6),
        fewer(*arguments),
        plain(*arguments),
    )
    return fewer, plain


def test_the_gradients_of_a_program_are_the_same_by_fewer_operations() -> None:
    fewer, plain = _graphs()
    assert len(fewer.graph.nodes) <= len(plain.graph.nodes) - 25


@pytest.mark.parametrize("optimizer", [Adam(weight_decay=0.1), AdamW(), Adam(betas=[0.5, 0.9])])
def test_fused_steps_of_adam_are_its_steps(optimizer: Adam) -> None:
    torch.manual_seed(1)
    params = {"a": torch.randn(5, 3), "b": torch.randn(4), "c": torch.randn(())}
    start = optimizer.start(params)
    ours = tree_map(torch.clone, (params, start))
    theirs = tree_map(torch.clone, (params, start))
    for step in range(1, 30):
        # A gradient that lies in memory in another order than its parameter.
        grads = {"a": torch.randn(3, 5).t(), "b": torch.randn(4), "c": torch.randn(())}
        told = torch.tensor(float(step)), torch.tensor(0.1 / step)
        ours = optimizer.update_in_place(ours[0], grads, ours[1], *told)
        theirs = optimizer.update(theirs[0], grads, theirs[1], *told)
    assert (ours[0]["a"] - params["a"]).abs().max() > 0.1
    tree_map(lambda a, b: torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6), ours, theirs)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax"])
def test_a_member_of_an_ensemble_is_trained_as_alone(optimizer: str) -> None:
    # Only alone are parameters written to in place.
    settings = TrainingSettings(
        steps=30, batch_size=16, records=2, clip_norm=0.5, rates={"guide": 2.0}, optimizer=optimizer
    )
    alone = small_program()
    Trainer(alone, small_images(), settings, compiled=False).train(alone, seed=4)
    both = [small_program(), small_program(seed=1)]
    trainer = Trainer(both[0], small_images(), settings, compiled=False, size=2)
    list(trainer.train_together([Member(both[0], 4, settings), Member(both[1], 5, settings)]))
    before = small_program().state_dict()
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(both[0].state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert any(not torch.equal(before[n], v) for n, v in alone.state_dict().items())
