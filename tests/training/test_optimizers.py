"""Optimisers, clipping and rates against loops of torch.optim: alone, together and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import MultiStepLR, ReduceLROnPlateau

import pyrovae
from pyrovae.core.noise import Supply
from pyrovae.core.seeded import seeded
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.store.checkpoints import Checkpoint, Checkpoints
from pyrovae.training import LossProgram, Member, Stopped, Trainer, TrainingSettings
from pyrovae.training.streams import BatchStream, NoiseStream

STEPS, BATCH, LR = 50, 8, 1e-2
X = (torch.rand(40, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()

Hook = Callable[..., Any]


class NormGrad(torch.optim.Adam):
    """Adam on gradients that are divided by their norms: Tomczak & Welling's rule, by hand."""

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state |= {"t": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                g = p.grad / (p.grad.norm() + 1e-7) + group["weight_decay"] * p.detach()
                state["t"] += 1
                state["m"] = beta1 * state["m"] + (1 - beta1) * g
                state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
                size = group["lr"] * (1 - beta2 ** state["t"]) ** 0.5 / (1 - beta1 ** state["t"])
                p.data -= size * state["m"] / (state["v"].sqrt() + group["eps"])


def _program(seed: int, objective: str = "elbo", **parameters: Any) -> LossProgram:
    vae = pyrovae.build(6, latent_dim=2, network={"name": "mlp", "hidden": [8]}, seed=seed)
    with seeded(seed):
        return LossProgram(vae, OBJECTIVES.create(objective, **parameters))


def by_hand(
    program: LossProgram,
    seed: int,
    settings: TrainingSettings,
    optimizer: torch.optim.Optimizer,
    *,
    clip: Hook = lambda parameters: None,
    after_step: Hook = lambda: None,
    after_record: Hook = lambda loss: None,
) -> dict[str, Tensor]:
    """Train by a plain loop, on the run's minibatches and noise."""
    program.train()
    noise = NoiseStream(program.record(X[:BATCH]), seed)
    batches = BatchStream(len(X), BATCH, seed)
    window, every = [], settings.steps // settings.records
    for step in range(settings.steps):
        with Supply(noise.at(step)):
            loss, _ = program(X[batches.at(step)], program.hyper(step), len(X))
        optimizer.zero_grad()
        loss.backward()
        clip(program.parameters())
        optimizer.step()
        after_step()
        window.append(loss.detach())
        if (step + 1) % every == 0:
            after_record(float(torch.stack(window).mean()))
            window = []
    return {name: p.detach() for name, p in program.named_parameters()}


def _close(program: LossProgram, expected: dict[str, Tensor]) -> None:
    for name, p in program.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=0, atol=1e-5, msg=name)


def _stopped_and_resumed(
    make: Callable[[int], LossProgram], settings: TrainingSettings, trainer: Trainer, folder: Path
) -> LossProgram:
    """Train with an end in the middle, from which a stored checkpoint leads on."""
    store = Checkpoints(folder)

    def keep(snapshot: Any, records: Any) -> None:
        history = pd.DataFrame({"step": [r.step for r in records]})
        store.save("run", Checkpoint(snapshot, history, 0.0))

    asked = iter([False, False, True])
    first = Member(make(0), 0, settings, keep=keep)
    with pytest.raises(Stopped):
        list(trainer.train_together([first], stop=lambda: next(asked)))
    stored = store.load("run")
    assert stored is not None
    assert 0 < stored.snapshot.step < settings.steps
    rest = Member(make(9), 0, settings, start=stored.snapshot)  # all that counts is stored
    list(trainer.train_together([rest]))
    return rest.program


def _compare(
    settings: dict[str, Any],
    loop: Callable[[LossProgram, int, TrainingSettings], dict[str, Tensor]],
    folder: Path,
    make: Callable[[int], LossProgram] = _program,
) -> None:
    """Compare with loops by hand: a run alone, two together, and one that is interrupted."""
    chosen = TrainingSettings(
        **{"steps": STEPS, "batch_size": BATCH, "records": 5, "lr": LR} | settings
    )
    expected = [loop(make(seed), seed, chosen) for seed in (0, 1)]
    alone = make(0)
    trainer = Trainer(alone, X, chosen, compiled=False)
    trainer.train(alone, 0)
    _close(alone, expected[0])
    pairs = zip(alone.parameters(), make(0).parameters(), strict=True)
    assert max((p - q).abs().max() for p, q in pairs) > 1e-3
    together = [Member(make(seed), seed, chosen) for seed in (0, 1)]
    both = Trainer(together[0].program, X, chosen, compiled=False, size=2)
    list(both.train_together(together))
    for member, values in zip(together, expected, strict=True):
        _close(member.program, values)
    resumed = _stopped_and_resumed(make, chosen, trainer, folder)
    for p, q in zip(resumed.parameters(), alone.parameters(), strict=True):
        assert torch.equal(p, q)


TORCHS: dict[str, tuple[dict[str, Any], Hook]] = {
    "adam": ({"name": "adam"}, torch.optim.Adam),
    "adam-numbers": (
        {"name": "adam", "betas": [0.5, 0.9], "eps": 1e-3, "weight_decay": 0.1},
        lambda p, lr: torch.optim.Adam(p, lr, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1),
    ),
    "adamw": (
        {"name": "adamw", "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.3},
        lambda p, lr: torch.optim.AdamW(p, lr, betas=(0.8, 0.99), eps=1e-4, weight_decay=0.3),
    ),
    "adamax": (
        {"name": "adamax", "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.1},
        lambda p, lr: torch.optim.Adamax(p, lr, betas=(0.8, 0.99), eps=1e-4, weight_decay=0.1),
    ),
    "sgd": ({"name": "sgd"}, torch.optim.SGD),
    "sgd-momentum": (
        {"name": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, weight_decay=0.1),
    ),
    "sgd-nesterov": (
        {"name": "sgd", "momentum": 0.8, "nesterov": True},
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.8, nesterov=True),
    ),
    "adam_norm_grad": (
        {"name": "adam_norm_grad", "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.1},
        lambda p, lr: NormGrad(p, lr, betas=(0.8, 0.99), eps=1e-4, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("case", TORCHS)
def test_each_optimiser_is_that_of_a_plain_loop(case: str, tmp_path: Path) -> None:
    part, torchs = TORCHS[case]

    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        return by_hand(program, seed, settings, torchs(program.parameters(), lr=LR))

    _compare({"optimizer": part}, loop, tmp_path)


CLIPS: dict[str, tuple[dict[str, float], Hook]] = {
    "norm": ({"clip_norm": 0.1}, lambda p: clip_grad_norm_(p, 0.1)),
    "value": ({"clip_value": 0.02}, lambda p: clip_grad_value_(p, 0.02)),
    "both": (
        {"clip_value": 0.02, "clip_norm": 0.1},
        lambda p: (clip_grad_value_(p := list(p), 0.02), clip_grad_norm_(p, 0.1)),
    ),
}


@pytest.mark.parametrize("case", CLIPS)
def test_each_clipping_is_that_of_a_plain_loop(case: str, tmp_path: Path) -> None:
    given, clip = CLIPS[case]

    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        # Of plain descent: Adam would not see by what a gradient is scaled.
        optimizer = torch.optim.SGD(program.parameters(), lr=0.1, momentum=0.5)
        return by_hand(program, seed, settings, optimizer, clip=clip)

    sgd = {"name": "sgd", "momentum": 0.5}
    _compare({"optimizer": sgd, "lr": 0.1, **given}, loop, tmp_path)


def test_piecewise_rates_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        optimizer = torch.optim.Adam(program.parameters(), lr=LR)
        course = MultiStepLR(optimizer, [13, 31], gamma=0.1)
        return by_hand(program, seed, settings, optimizer, after_step=course.step)

    lr = {"schedule": "piecewise", "values": [LR, LR / 10, LR / 100], "milestones": [13, 31]}
    _compare({"lr": lr}, loop, tmp_path)


@pytest.mark.parametrize(
    "rule",
    [
        # At so high a rate of plain descent the loss soon scatters.
        {"factor": 0.3, "patience": 1, "threshold": 0.05, "cooldown": 1},
        {"factor": 0.1, "patience": 0, "threshold": 0.02, "to": 0.02},
    ],
)
def test_rates_on_a_plateau_are_those_of_a_plain_loop(rule: dict[str, Any], tmp_path: Path) -> None:
    rates = []

    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        optimizer = torch.optim.SGD(program.parameters(), lr=0.1)
        torchs = {("min_lr" if key == "to" else key): value for key, value in rule.items()}
        course = ReduceLROnPlateau(optimizer, **torchs)
        found = by_hand(program, seed, settings, optimizer, after_record=course.step)
        rates.append(optimizer.param_groups[0]["lr"])
        return found

    lr = {"schedule": "plateau", "from": 0.1, **rule}
    _compare({"optimizer": "sgd", "lr": lr, "records": 10}, loop, tmp_path)
    assert all(rate < 0.1 for rate in rates)  # it has fallen


def test_groups_have_rates_of_their_own(tmp_path: Path) -> None:
    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        groups: dict[str, list[nn.Parameter]] = {"guide": [], "model": []}
        for name, p in program.named_parameters():
            groups[program.group(name)].append(p)
        optimizer = torch.optim.AdamW(
            [
                {"params": groups["guide"], "lr": 2 * LR},
                {"params": groups["model"], "lr": LR / 4},
            ]
        )
        return by_hand(program, seed, settings, optimizer)

    _compare({"optimizer": "adamw", "rates": {"guide": 2.0, "model": 0.25}}, loop, tmp_path)


def test_a_group_that_rests_keeps_its_moments(tmp_path: Path) -> None:
    """As by hand: the model is moved, and its momentum too, at every third step alone."""

    def make(seed: int) -> LossProgram:
        return _program(seed, "lagging", inner=2, until=1000)

    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        named = list(program.named_parameters())
        model = [p for name, p in named if program.group(name) == "model"]
        guide = [p for name, p in named if program.group(name) == "guide"]
        both = [torch.optim.SGD(part, lr=0.1, momentum=0.9) for part in (guide, model)]
        done = [0]

        class Turns(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:
                done[0] += 1
                both[0].step()
                if done[0] % 3 == 0:
                    both[1].step()

        return by_hand(program, seed, settings, Turns(program.parameters(), lr=0.1))

    sgd = {"name": "sgd", "momentum": 0.9}
    _compare({"optimizer": sgd, "lr": 0.1}, loop, tmp_path, make)


def test_a_discriminator_keeps_its_own_adam(tmp_path: Path) -> None:
    """Neither the run's optimiser nor its clipping is the discriminator's; its factor is."""

    def make(seed: int) -> LossProgram:
        return _program(seed, "factor", gamma=3.0, hidden=[5], discriminator_lr=1e-3)

    def loop(program: LossProgram, seed: int, settings: TrainingSettings) -> dict[str, Tensor]:
        own, rest = list(program.objective.parameters()), list(program.vae.parameters())
        adam = torch.optim.Adam(own, lr=2e-3, betas=(0.5, 0.9))

        class Both(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:
                super().step()
                adam.step()

        def clip(parameters: Any) -> None:
            clip_grad_norm_(rest, 0.5)

        optimizer = Both(rest, lr=0.1)
        before = optimizer.zero_grad

        def zero_grad(set_to_none: bool = True) -> None:
            before(set_to_none)
            adam.zero_grad(set_to_none)

        optimizer.zero_grad = zero_grad  # type: ignore[method-assign]
        return by_hand(program, seed, settings, optimizer, clip=clip)

    given = {"optimizer": "sgd", "lr": 0.1, "clip_norm": 0.5, "rates": {"objective": 2.0}}
    _compare(given, loop, tmp_path, make)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "adamax", "adam_norm_grad", "sgd"])
def test_compiled_steps_do_the_same(optimizer: str, size: int) -> None:
    settings = TrainingSettings(
        steps=20,
        batch_size=BATCH,
        records=4,
        lr={"schedule": "plateau", "from": LR, "patience": 0, "threshold": 0.5},
        optimizer=optimizer,
        clip_norm=0.5,
        clip_value=0.1,
        rates={"guide": 2.0},
    )
    found = []
    for compiled in (False, True):
        members = [Member(_program(seed), seed, settings) for seed in range(size)]
        trainer = Trainer(members[0].program, X, settings, compiled=compiled, size=size)
        list(trainer.train_together(members))
        found.append([member.program.state_dict() for member in members])
    for plain, fused in zip(*found, strict=True):
        for name, value in plain.items():
            torch.testing.assert_close(fused[name], value, rtol=0, atol=1e-5, msg=name)
