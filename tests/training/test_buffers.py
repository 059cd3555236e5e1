"""Buffers that a forward pass writes: carried by the step, kept, and left alone when measuring."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from families import small_images
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from pyrovae.core.noise import Recorder
from pyrovae.datasets.base import as_float
from pyrovae.measures.collapse import measure_units
from pyrovae.models.own import UserModel
from pyrovae.objectives import OBJECTIVES, Elbo
from pyrovae.study.store.checkpoints import Checkpoint, Checkpoints
from pyrovae.training import (
    LossProgram,
    Member,
    Record,
    Snapshot,
    Stopped,
    Trainer,
    TrainingSettings,
)

SHAPE, LATENT, WIDTH = (1, 8, 8), 2, 6
SETTINGS = TrainingSettings(steps=6, batch_size=8, records=2, lr=1e-3)


class Counter(nn.Module):
    """Counts calls by a new tensor, and averages its input in place, in either mode."""

    calls: Tensor
    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        self.average.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return x - self.average


def _image(layer: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 2, bias=False), layer, nn.ReLU(), nn.Flatten(), nn.Linear(18, WIDTH)
    )


def _dense(layer: nn.Module) -> nn.Module:
    # No bias: its gradient before a norm is zero up to rounding, which Adam makes a step of.
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH, bias=False), layer, nn.ReLU())


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch_norm": lambda: _dense(nn.BatchNorm1d(WIDTH)),
    "batch_norm_2d": lambda: _image(nn.BatchNorm2d(2)),
    "instance_norm": lambda: _image(nn.InstanceNorm2d(2, affine=True, track_running_stats=True)),
    "spectral_norm": lambda: nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(64, WIDTH))),
    "spectral_norm_by_hooks": lambda: nn.Sequential(
        nn.Flatten(), nn.utils.spectral_norm(nn.Linear(64, WIDTH))
    ),
    "counter": lambda: _dense(Counter()),
    "dropout": lambda: _dense(nn.Sequential(nn.BatchNorm1d(WIDTH), nn.Dropout(0.4))),
    "dropout_2d": lambda: _image(nn.Dropout2d(0.4)),
}


def _model(layer: str, seed: int = 0) -> UserModel:
    torch.manual_seed(seed)
    encoder = nn.Sequential(LAYERS[layer](), nn.Linear(WIDTH, 2 * LATENT))
    decoder = nn.Sequential(
        nn.Linear(LATENT, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, 64)
    )

    def model(x: Tensor) -> None:
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(0, 1).expand([LATENT]).to_event(1))
            logits = decoder(z).reshape(-1, *SHAPE)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        loc, raw = encoder(x).chunk(2, -1)
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(loc, softplus(raw) + 1e-3).to_event(1))

    return UserModel((model, guide), SHAPE, LATENT)


def _program(layer: str, seed: int = 0) -> LossProgram:
    return LossProgram(_model(layer, seed), Elbo())


def _trained(
    layer: str, seeds: list[int], *, compiled: bool = False
) -> tuple[list[LossProgram], dict[int, list[Record]]]:
    programs = [_program(layer, seed) for seed in seeds]
    trainer = Trainer(programs[0], small_images(), SETTINGS, compiled=compiled, size=len(seeds))
    members = [Member(p, s, SETTINGS) for p, s in zip(programs, seeds, strict=True)]
    return programs, {seeds[e.member]: e.records for e in trainer.train_together(members)}


def _assert_alike(ours: LossProgram, theirs: LossProgram) -> None:
    for name, value in ours.state_dict().items():
        expected = theirs.state_dict()[name]
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4, msg=name)


def test_a_step_is_that_of_plain_pytorch() -> None:
    # Batch statistics do not depend on the noise of the code, which is all that is random.
    program, by_hand = _program("batch_norm"), _program("batch_norm")
    settings = SETTINGS.model_copy(update={"steps": 1, "records": 1, "batch_size": 40})
    Trainer(program, small_images(), settings, compiled=False).train(program, 0)
    by_hand.train()
    by_hand(as_float(small_images()), by_hand.hyper(0))
    layers = [p.vae.parts["part1"][0][2] for p in (program, by_hand)]
    assert all(isinstance(layer, nn.BatchNorm1d) for layer in layers)
    assert int(layers[0].num_batches_tracked) == 1
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(layers[0], name), getattr(layers[1], name))


@pytest.mark.parametrize("layer", LAYERS)
def test_each_member_ends_where_it_ends_alone(layer: str) -> None:
    together, records = _trained(layer, [0, 1])
    trainer = Trainer(together[0], small_images(), SETTINGS, compiled=False)
    for seed, ours in enumerate(together):
        theirs = _program(layer, seed)
        alone = trainer.train(theirs, seed)
        _assert_alike(ours, theirs)
        assert records[seed][-1].loss == pytest.approx(alone[-1].loss, rel=1e-4)
        written, before = together[0].written, _program(layer).state_dict()
        # Instance norm has a count of batches, but does not count.
        same = [name for name in written if torch.equal(theirs.get_buffer(name), before[name])]
        assert written
        assert all(layer == "instance_norm" and "num_batches" in name for name in same)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_compiled_steps_write_the_same(size: int) -> None:
    layer = "spectral_norm" if size == 1 else "dropout"
    compiled, _ = _trained(layer, list(range(size)), compiled=True)
    plain, _ = _trained(layer, list(range(size)))
    for ours, theirs in zip(compiled, plain, strict=True):
        _assert_alike(ours, theirs)


def test_counts_are_exact() -> None:
    (program,), _ = _trained("counter", [0])
    counters = [m for m in program.modules() if isinstance(m, Counter)]
    norms = [m for m in program.modules() if isinstance(m, nn.BatchNorm1d)]
    assert [int(m.calls) for m in counters] == [SETTINGS.steps]
    assert [int(m.num_batches_tracked) for m in norms] == [SETTINGS.steps]


@pytest.mark.parametrize(("layer", "size"), [("dropout", 1), ("spectral_norm", 1), ("dropout", 2)])
def test_going_on_from_a_stored_checkpoint_is_exact(layer: str, size: int, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"steps": 130})
    store = Checkpoints(tmp_path)

    def members(*, resumed: bool) -> list[Member]:
        made = []
        for seed in range(size):

            def keep(snapshot: Snapshot, records: list[Record], seed: int = seed) -> None:
                history = pd.DataFrame({"step": [r.step for r in records]})
                store.save(str(seed), Checkpoint(snapshot, history, 0.0))

            found = store.load(str(seed)) if resumed else None
            program = _program(layer, 9 if resumed else seed)
            start = found.snapshot if found else None
            made.append(Member(program, seed, settings, keep=keep, start=start))
        return made

    trainer = Trainer(_program(layer), small_images(), settings, compiled=False, size=size)
    whole = members(resumed=False)
    list(trainer.train_together(whole))
    asked = iter([False, True])
    with pytest.raises(Stopped):
        list(trainer.train_together(members(resumed=False), stop=lambda: next(asked)))
    rest = members(resumed=True)
    assert 0 < rest[0].start.step < 130
    list(trainer.train_together(rest))
    for ours, theirs in zip(rest, whole, strict=True):
        for name, value in ours.program.state_dict().items():
            assert torch.equal(value, theirs.program.state_dict()[name]), name


@pytest.mark.parametrize("objective", ["iwae", "beta_tc", "factor", "lagging", "info"])
def test_objectives_that_run_the_programs_in_other_ways(objective: str) -> None:
    program = LossProgram(_model("spectral_norm"), OBJECTIVES.create(objective))
    if objective == "iwae":  # BatchNorm1d takes no second batch dimension
        program = LossProgram(_flat_decoder(), OBJECTIVES.create(objective))
    history = Trainer(program, small_images(), SETTINGS, compiled=False).train(program, 0)
    assert math.isfinite(history[-1].loss)
    assert program.written


def _flat_decoder() -> UserModel:
    encoder = nn.Sequential(LAYERS["batch_norm"](), nn.Linear(WIDTH, 2 * LATENT))
    decoder = spectral_norm(nn.Linear(LATENT, 64))

    def model(x: Tensor) -> None:
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(0, 1).expand([LATENT]).to_event(1))
            logits = decoder(z).reshape(*z.shape[:-1], *SHAPE)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        loc, raw = encoder(x).chunk(2, -1)
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(loc, softplus(raw) + 1e-3).to_event(1))

    return UserModel((model, guide), SHAPE, LATENT)


def test_training_trains_and_measuring_along_it_measures() -> None:
    program = _program("dropout")
    program.eval()
    modes: dict[str, set[bool]] = {"measure": set(), "progress": set()}
    states: list[dict[str, Tensor]] = []

    def every_mode() -> set[bool]:
        return {m.training for m in program.modules()}

    def measure(current: LossProgram) -> None:
        modes["measure"] |= every_mode()
        before = copy.deepcopy(current.state_dict())
        for _ in range(2):
            measure_units(current.vae, as_float(small_images()))
        assert all(torch.equal(v, before[k]) for k, v in current.state_dict().items())
        states.append(before)

    def progress(step: int, loss: float) -> None:
        modes["progress"] |= every_mode()

    settings = SETTINGS.model_copy(update={"lr": 0.0})
    trainer = Trainer(program, small_images(), settings, compiled=False)
    history = trainer.train(program, 0, measure=measure, progress=progress)
    assert modes == {"measure": {False}, "progress": {True}}
    # The learning rate is 0: what the loss differs by is dropout's noise, what moved are averages.
    assert history[1].loss != history[2].loss
    moved = {k for k in states[0] if not torch.equal(states[0][k], states[-1][k])}
    assert moved == set(program.written)


def test_dropout_has_its_law() -> None:
    # Of what remains, the mean is the input's and the variance p / (1 - p) times its square.
    x = torch.ones(200, 300)
    with Recorder() as recorder:
        dropped = nn.functional.dropout(x, 0.3)
        channels = nn.functional.dropout2d(torch.ones(500, 40, 3, 3), 0.3)
        coins = torch.bernoulli(torch.full((40_000,), 0.2))
    assert [draw.shape for draw in recorder.draws] == [(200, 300), (500, 40, 1, 1), (40_000,)]
    assert float(dropped.mean()) == pytest.approx(1, abs=5 * (0.3 / 0.7 / x.numel()) ** 0.5)
    assert float(dropped.var()) == pytest.approx(0.3 / 0.7, rel=0.03)
    assert set(channels.flatten(2).var(-1).unique().tolist()) == {0.0}
    assert float(channels.mean()) == pytest.approx(1, abs=5 * (0.3 / 0.7 / 20_000) ** 0.5)
    assert float(coins.mean()) == pytest.approx(0.2, abs=5 * (0.16 / 40_000) ** 0.5)
