"""Models that train together end where each ends alone, and do not touch each other."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from families import STEP_BY_STEP, small_images, small_program, small_vae

from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.spaces import SPACES
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.plan.compatibility import latent_conflict
from pyrovae.training import (
    Diverged,
    Ended,
    LossProgram,
    Member,
    Record,
    Snapshot,
    Stopped,
    Trainer,
    TrainingSettings,
)

PAIRS = [(p, q) for p in PRIORS for q in POSTERIORS if latent_conflict(p, q) is None]
OF_IMAGES = [x for x in LIKELIHOODS if x not in STEP_BY_STEP]
EVERY = [(p, q, x) for p, q in PAIRS for x in OF_IMAGES]


def _covering() -> list[tuple[str, str, str]]:
    """Return combinations in which each family that is registered stands at least once."""
    chosen = []
    for space in SPACES:
        posteriors = [q for q in POSTERIORS if POSTERIORS[q].space == space]
        priors = [p for p in PRIORS if latent_conflict(p, posteriors[0]) is None]
        n = max(len(priors), len(posteriors))
        pairs = zip((priors * n)[:n], (posteriors * n)[:n], strict=True)
        for p, q in pairs:
            fits = latent_conflict(p, q) is None
            chosen += [(p, q)] if fits else [(p, posteriors[0]), (priors[0], q)]
    return [(p, q, x) for (p, q), x in zip(chosen, itertools.cycle(OF_IMAGES), strict=False)]


COVERING = _covering()
SETTINGS = TrainingSettings(steps=12, batch_size=16, records=3, lr=1e-3)


def _parameters(program: LossProgram) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in program.named_parameters()}


def _trainer(program: LossProgram, size: int, *, compiled: bool = False) -> Trainer:
    return Trainer(program, small_images(), SETTINGS, compiled=compiled, size=size)


def _together(members: list[Member], *, compiled: bool = False, size: int = 0) -> list[Ended]:
    trainer = _trainer(members[0].program, size or len(members), compiled=compiled)
    return list(trainer.train_together(members))


def _compare(names: tuple[str, str, str], *, compiled: bool) -> None:
    """Train two seeds together and each alone; the two differ by the order of sums only.

    Adam divides a gradient by its own size, so a gradient that is zero up to rounding moves a
    parameter by up to the learning rate each step, in a direction that rounding decides: the bound
    on parameters is a small part of the longest way that they can go, 12 steps × 1e-3.
    """
    ended = _together(
        together := [Member(small_program(*names, seed=s), s, SETTINGS) for s in (0, 1)],
        compiled=compiled,
    )
    alone = _trainer(small_program(*names), 1)
    for seed, outcome, one in zip((0, 1), ended, together, strict=True):
        program = small_program(*names, seed=seed)
        history = alone.train(program, seed)
        assert outcome.failure is None
        assert [r.step for r in outcome.records] == [r.step for r in history] == [0, 4, 8, 12]
        for ours, theirs in zip(outcome.records[1:], history[1:], strict=True):
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
            assert ours.rate == pytest.approx(theirs.rate, rel=1e-3, abs=1e-4)
        expected = _parameters(program)
        for name, value in _parameters(one.program).items():
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=5e-4, msg=name)


@pytest.mark.parametrize("names", COVERING, ids="-".join)
def test_each_member_ends_where_it_ends_alone(names: tuple[str, str, str]) -> None:
    _compare(names, compiled=False)


@pytest.mark.slow
@pytest.mark.parametrize("names", [c for c in EVERY if c not in COVERING], ids="-".join)
def test_each_member_ends_where_it_ends_alone_for_all(names: tuple[str, str, str]) -> None:
    _compare(names, compiled=False)


def test_the_short_list_has_every_family() -> None:
    assert {c[0] for c in COVERING} == set(PRIORS)
    assert {c[1] for c in COVERING} == set(POSTERIORS)
    assert {c[2] for c in COVERING} == set(OF_IMAGES)


@pytest.mark.slow
def test_each_member_ends_where_it_ends_alone_compiled() -> None:
    _compare(("gaussian_mixture", "full_rank_normal", "bernoulli"), compiled=True)


def test_scalars_and_lengths_may_differ() -> None:
    def members() -> list[Member]:
        made = []
        for i, (beta, lr, steps) in enumerate(((0.5, 1e-3, 12), (4.0, 1e-2, 7), (8.0, 3e-3, 70))):
            program = LossProgram(small_vae(seed=i), OBJECTIVES.create("beta", beta=beta))
            settings = SETTINGS.model_copy(update={"steps": steps, "lr": lr})
            made.append(Member(program, i, settings))
        return made

    together, alone = members(), members()
    ended = _together(together, size=4)  # one place stays empty
    assert [e.member for e in ended] == [1, 0, 2], "the shortest ends first"
    for outcome in sorted(ended, key=lambda e: e.member):
        (single,) = _together([alone[outcome.member]])
        assert [r.step for r in outcome.records] == [r.step for r in single.records]
        assert outcome.records[-1].loss == pytest.approx(single.records[-1].loss, rel=1e-3)


def test_a_member_that_diverges_is_frozen_and_the_others_go_on() -> None:
    rates = (1e-3, 1e30, 1e-3)
    members = [
        Member(small_program(seed=i), i, SETTINGS.model_copy(update={"lr": lr}))
        for i, lr in enumerate(rates)
    ]
    ended = {e.member: e for e in _together(members)}
    assert isinstance(ended[1].failure, Diverged)
    assert 1 <= ended[1].failure.step <= 3
    healthy = [Member(small_program(seed=i), i, SETTINGS) for i in range(3)]
    expected = {e.member: e for e in _together(healthy)}
    for i in (0, 2):
        # Same program, same places: to the bit, whatever the neighbour does.
        # As text, in which two losses that are no numbers are the same.
        first = ended[i].records[0]
        assert str(first) == str(expected[i].records[0]) or math.isnan(first.loss)
        assert str(ended[i].records[1:]) == str(expected[i].records[1:])
        ours, theirs = _parameters(members[i].program), _parameters(healthy[i].program)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("size", [1, 2])
def test_going_on_from_a_snapshot_gives_the_same_trajectory(size: int) -> None:
    settings = SETTINGS.model_copy(update={"steps": 130, "records": 2})
    whole = [Member(small_program(seed=i), i, settings) for i in range(size)]
    expected = {e.member: e.records for e in _together(whole)}
    kept: dict[int, tuple[Snapshot, list[Record]]] = {}

    def keeper(i: int) -> Member:
        def keep(snapshot: Snapshot, records: list[Record]) -> None:
            copied = {k: v.clone() for k, v in snapshot.params.items()}
            kept[i] = (
                Snapshot(snapshot.step, copied, snapshot.moments, snapshot.window),
                list(records),
            )

        return Member(small_program(seed=i), i, settings, keep=keep)

    asked = iter([False, False, True])  # stops between two records
    trainer = _trainer(small_program(), size)
    with pytest.raises(Stopped):
        list(trainer.train_together([keeper(i) for i in range(size)], stop=lambda: next(asked)))
    assert kept[0][0].step == 115
    resumed = [
        # Fresh weights of another seed: all that counts comes from the snapshot.
        Member(small_program(seed=9), i, settings, start=kept[i][0])
        for i in range(size)
    ]
    for ended in trainer.train_together(resumed):
        i = ended.member
        assert str((kept[i][1] + ended.records)[1:]) == str(expected[i][1:])
        ours, theirs = _parameters(resumed[i].program), _parameters(whole[i].program)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
