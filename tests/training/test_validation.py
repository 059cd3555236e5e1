"""Early stopping and the best model, against a loop in plain PyTorch; alone, together, resumed."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import pyrovae
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, Split
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import Ended, LossProgram, Member, Record, Snapshot, Trainer, TrainingSettings
from pyrovae.training.streams import BatchStream, NoiseStream
from pyrovae.training.validation import Kept, Validated, validation

#: Noise, and so little of it that a network soon learns it by heart.
_GENERATOR = torch.Generator().manual_seed(0)
X = (torch.rand(24, 6, generator=_GENERATOR) < 0.5).float()
HELD = (torch.rand(30, 6, generator=_GENERATOR) < 0.5).float()
DATA = Dataset("x", Split(X), Split(X), validation=Split(HELD))
SETTINGS = TrainingSettings(
    steps=400, records=40, batch_size=8, lr=3e-2, until="validation", patience=3, keep="best"
)


def _program(seed: int, objective: str | dict[str, object] = "autoencoder") -> LossProgram:
    network = {"name": "mlp", "hidden": [16]}
    vae = pyrovae.build(6, latent_dim=2, network=network, seed=seed)
    with seeded(seed):
        return LossProgram(vae, OBJECTIVES.create(**_named(objective)))


def _named(objective: str | dict[str, object]) -> dict[str, object]:
    return {"name": objective} if isinstance(objective, str) else objective


def _member(seed: int, settings: TrainingSettings = SETTINGS, **more: object) -> Member:
    validate = validation(DATA, settings, seed=seed)
    return Member(_program(seed), seed, settings, validate=validate, **more)  # type: ignore[arg-type]


def _train(*members: Member) -> list[Ended]:
    first = members[0]
    trainer = Trainer(first.program, X, first.settings, compiled=False, size=len(members))
    return sorted(trainer.train_together(members), key=lambda e: e.member)


def _by_hand(seed: int) -> tuple[dict[str, Tensor], list[float], int, int]:
    """Return the best parameters, validation losses, the best step and the last."""
    program = _program(seed)
    vae, device = program.vae, torch.device("cpu")
    draws = NoiseStream(program.record(X[:8]), seed, device)
    parameters = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=3e-2)
    batches = BatchStream(len(X), 8, seed, device)

    def loss_of(x: Tensor, noise: Tensor) -> Tensor:
        law = vae.encode(x)
        return -vae.decode(law.mean + law.variance.sqrt() * noise).log_prob(x).mean()

    def held_out() -> float:
        with seeded(seed), torch.no_grad():
            parts = HELD.split([7, 8, 7, 8])
            losses = [loss_of(x, torch.normal(torch.zeros(len(x), 2), 1.0)) for x in parts]
        return sum(float(loss) * len(x) for loss, x in zip(losses, parts, strict=True)) / len(HELD)

    losses, since = [held_out()], 0
    best, kept, best_step = losses[0], _copy(vae), 0
    for step in range(1, 401):
        optimizer.zero_grad()
        (noise,) = draws.span(step - 1, 1)
        loss_of(X[batches.span(step - 1, 1)[0]], noise[0]).backward()
        optimizer.step()
        if step % 10:
            continue
        losses.append(held_out())
        since += 1
        if losses[-1] < best:
            best, kept, best_step, since = losses[-1], _copy(vae), step, 0
        if since == 3:
            return kept, losses, best_step, step
    raise AssertionError("it never stopped: these data do not overfit")


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize("seed", [0, 1])
def test_training_stops_and_keeps_the_best_as_a_loop_by_hand_does(seed: int) -> None:
    member = _member(seed)
    (ended,) = _train(member)
    kept, losses, best_step, last = _by_hand(seed)
    assert ended.records[-1].step == last < 400
    assert ended.kept == Kept(best_step, ended.records[best_step // 10].validation_loss)
    assert [r.validation_loss for r in ended.records] == pytest.approx(losses, abs=1e-4)
    found = _copy(member.program.vae)
    for name, expected in kept.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-4)


def test_members_stop_by_themselves() -> None:
    together = [_member(seed) for seed in (0, 1, 2)]
    for ended, seed in zip(_train(*together), (0, 1, 2), strict=True):
        alone = _member(seed)
        (one,) = _train(alone)
        assert [r.step for r in one.records] == [r.step for r in ended.records]
        assert one.kept is not None
        assert ended.kept is not None
        assert one.kept.step == ended.kept.step
        for a, b in zip(
            alone.program.parameters(), together[seed].program.parameters(), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", ["before the best", "after the best"])
def test_resuming_continues_to_the_bit(place: str) -> None:
    whole = _member(0)
    (all_of_it,) = _train(whole)
    assert all_of_it.kept is not None
    left_after = {"before the best": 10, "after the best": all_of_it.kept.step + 10}[place]
    snapshots: list[tuple[Snapshot, list[Record]]] = []
    first = _member(0, keep=lambda s, records: snapshots.append((s, list(records))))
    trainer = Trainer(first.program, X, SETTINGS, compiled=False)
    for _ in trainer.train_together([first], keep_seconds=0.0):
        pass
    snapshot = next(s for s, _ in snapshots if s.step >= left_after)
    again = _member(0, start=snapshot)
    (rest,) = _train(again)
    assert rest.kept == all_of_it.kept
    assert rest.records[-1].step == all_of_it.records[-1].step
    for a, b in zip(whole.program.parameters(), again.program.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_is_seen_before_schedules_are_over_decides_nothing() -> None:
    member = _member(0, constant_from=200)
    (ended,) = _train(member)
    assert ended.records[-1].step >= 200
    assert ended.kept is not None
    assert ended.kept.step >= 200


def test_the_last_parameters_stay_unless_the_best_are_asked_for() -> None:
    settings = SETTINGS.model_copy(update={"keep": "last"})
    member, snapshots = _member(0, settings), []
    (ended,) = _train(member)
    assert ended.kept is None
    best = _member(0, keep=lambda s, records: snapshots.append(s))
    _train(best)
    assert not torch.equal(next(member.program.parameters()), next(best.program.parameters()))


def test_patience_counts_records_in_a_row() -> None:
    seen = Validated()
    for step, loss in enumerate([3.0, 2.0, 2.0, 1.5, 1.6, 1.7, 1.5]):
        seen = seen.after(step, loss, None)
        assert seen.ends(SETTINGS) == (step == 6)
    assert seen.best == Kept(3, 1.5)
    assert not Validated(Kept(0, 1.0), 9).ends(TrainingSettings())


@pytest.mark.parametrize("posterior", ["mean_field_normal", "semi_amortized", "planar"])
def test_the_validation_loss_is_that_of_training_with_fixed_noise(posterior: str) -> None:
    vae = pyrovae.build(
        6, latent_dim=2, network={"name": "mlp", "hidden": [8]}, posterior=posterior
    )
    program = LossProgram(vae, OBJECTIVES.create("beta", beta=2.0))
    settings = TrainingSettings(batch_size=len(HELD))
    loss = validation(DATA, settings, seed=3)
    with seeded(3):
        expected, _ = program(HELD, program.hyper(0), len(X))
    assert loss(program, 0) == pytest.approx(expected.item(), rel=1e-6)
    assert loss(program, 0) == loss(program, 0)
    in_parts = validation(DATA, TrainingSettings(batch_size=7), seed=3)
    assert in_parts(program, 0) == pytest.approx(expected.item(), rel=0.3)


def test_settings_enter_identities_only_where_they_matter() -> None:
    assert not {"patience", "keep"} & set(TrainingSettings().model_dump())
    assert TrainingSettings(until="validation").model_dump()["patience"] == 10
    assert "patience" not in TrainingSettings(keep="best").model_dump()
    with pytest.raises(ValidationError, match="patience goes with until: validation"):
        TrainingSettings(patience=3)
