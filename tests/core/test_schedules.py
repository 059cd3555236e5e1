"""Schedules at their ends, in between, and as data."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from families import EVENT_SHAPE, small_images, small_vae
from hypothesis import given
from hypothesis import strategies as st
from parameters import parameters, types_in
from pydantic.fields import FieldInfo

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.core.scheduled import Scheduled
from pyrovae.core.schedules import at, ends, falls, unfinished, values
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import build_vae
from pyrovae.objectives import OBJECTIVES, Elbo
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.plan.batches import scheduled
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings


def test_values_by_hand() -> None:
    linear = {"schedule": "linear", "from": 1, "to": 3, "steps": 4}
    assert [at(linear, step) for step in range(6)] == [1, 1.5, 2, 2.5, 3, 3]
    cosine = {"schedule": "cosine", "from": 1, "to": 0, "steps": 4}
    expected = [1, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5, 0, 0]
    assert [at(cosine, step) for step in range(6)] == pytest.approx(expected)
    cyclical = {"schedule": "cyclical", "from": 0, "to": 1, "steps": 4, "ramp": 0.5}
    assert [at(cyclical, step) for step in range(6)] == [0, 0.5, 1, 1, 0, 0.5]
    piecewise = {"schedule": "piecewise", "values": [3, 1, 2], "milestones": [2, 4]}
    assert [at(piecewise, step) for step in range(6)] == [3, 3, 1, 1, 2, 2]
    assert [unfinished(piecewise, steps) for steps in (5, 6)] == [None, None]
    assert "training has 4 steps: it ends at 1 instead of 2" in str(unfinished(piecewise, 4))
    assert unfinished({"schedule": "plateau", "from": 1.0}, 5) is None
    assert (values(piecewise), ends(piecewise), falls(piecewise)) == ((3, 1, 2), 4, True)
    assert at(0.25, 10**6) == 0.25


@given(
    kind=st.sampled_from(["linear", "cosine", "cyclical"]),
    start=st.floats(-5, 5),
    to=st.floats(-5, 5),
    steps=st.integers(1, 100),
    step=st.integers(0, 1000),
)
def test_values_stay_between_the_ends(
    kind: str, start: float, to: float, steps: int, step: int
) -> None:
    value = at({"schedule": kind, "from": start, "to": to, "steps": steps}, step)
    assert min(start, to) - 1e-12 <= value <= max(start, to) + 1e-12


def test_schedules_survive_resolution() -> None:
    given = {"schedule": "linear", "from": 0.0, "to": 4.0, "steps": 10}
    resolved = OBJECTIVES.resolve("beta", {"beta": given})
    assert resolved["beta"] == given
    assert OBJECTIVES.create("beta", **resolved).hyperparameters(5) == {"beta": 2.0}


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match="schedule"):
        OBJECTIVES.resolve("beta", {"beta": {"schedule": "exponential", "from": 0, "to": 1}})
    with pytest.raises(ValueError, match="must not be negative"):
        TrainingSettings(lr={"schedule": "linear", "from": 1e-3, "to": -1, "steps": 5})
    with pytest.raises(ValueError, match="greater than 0"):
        TrainingSettings(lr=0.0)


def test_half_cycles_by_hand() -> None:
    # Fu et al. 2019, eq. 6-7: cycles of 10 steps, of which 3 in 4 rise.
    cyclical = {"schedule": "cyclical", "from": 2, "to": 5, "steps": 10, "ramp": 0.75}
    expected = [2, 2.4, 2.8, 3.2, 3.6, 4.0, 4.4, 4.8, 5, 5]
    assert [at(cyclical, step) for step in range(20)] == pytest.approx(expected * 2)
    # Loshchilov & Hutter 2017, eq. 5, for T_cur / T = 1/6, 1/3, 1/2, 2/3, 5/6.
    cosine = {"schedule": "cosine", "from": 3, "to": 1, "steps": 6}
    root = math.sqrt(3) / 2
    expected = [3, 2 + root, 2.5, 2, 1.5, 2 - root, 1, 1]
    assert [at(cosine, step) for step in range(8)] == pytest.approx(expected)


# --- wherever a number is ------------------------------------------------------------------------

#: Numbers that are used once, before training, or that decide what a step consists of.
STARTS = {
    ("prior", "gaussian_mixture", "spread"),
    ("prior", "vampprior", "spread"),
    ("likelihood", "attention", "word_dropout"),
    ("likelihood", "recurrent", "word_dropout"),
    ("objective", "geco", "average"),
    ("objective", "geco", "start"),
    ("objective", "hamiltonian", "largest"),
    ("objective", "hamiltonian", "step_size"),
    ("objective", "hamiltonian", "temperature"),
    ("posterior", "vector_quantized", "decay"),
    # Of batch-normalised means, by which the rate is held from below.
    *(("posterior", name, "gamma") for name in POSTERIORS),
}
#: Pairs of numbers.
BOUNDS = {"log_scale_bounds"}
MODEL_PARTS = ("prior", "posterior", "likelihood", "objective")


REAL = [
    (REGISTRIES[kind], name, key, field)
    for kind, name, key, field in parameters(REGISTRIES)
    if kind in MODEL_PARTS and float in types_in(field.annotation) and key not in BOUNDS
]
COUNTS = [
    (REGISTRIES[kind], name, key, field)
    for kind, name, key, field in parameters(REGISTRIES)
    if field.annotation is int
]


def _ids(case: Any) -> str:
    return case if isinstance(case, str) else getattr(case, "kind", "")


@pytest.mark.parametrize(("registry", "name", "key", "field"), REAL, ids=_ids)
def test_every_real_number_of_a_model_or_objective_takes_a_schedule(
    registry: Registry, name: str, key: str, field: FieldInfo
) -> None:
    known = field.default if isinstance(field.default, float) else 1.0
    given = {"schedule": "linear", "from": known, "to": known * 1.01, "steps": 10}
    if (registry.kind, name, key) in STARTS:
        with pytest.raises(ConfigError, match="does not change along training") as error:
            registry.resolve(name, {key: given})
        assert error.value.place == key
        return
    assert key in scheduled(registry, name)  # what ensembles go by
    fixed = {"learned": False} if registry.kind == "likelihood" else {}
    assert registry.resolve(name, {key: given, **fixed})[key] == given


@pytest.mark.parametrize(
    ("registry", "name", "key", "field"),
    COUNTS,
    ids=_ids,
)
def test_counts_take_none_and_say_why(
    registry: Registry, name: str, key: str, field: FieldInfo
) -> None:
    given = {"schedule": "linear", "from": 1, "to": 2, "steps": 10}
    needed = {"path": "x.npy"} if name in ("files", "text") and key != "path" else {}
    with pytest.raises(ConfigError, match="does not change along training") as error:
        registry.resolve(name, {**needed, key: given})
    assert error.value.place == key


def _small(**parts: dict[str, Any]) -> Any:
    given = {
        "network": {"name": "mlp", "hidden": [8]},
        "prior": {"name": "standard_normal"},
        "posterior": {"name": "mean_field_normal"},
        "likelihood": {"name": "bernoulli"},
        **parts,
    }
    return build_vae(EVENT_SHAPE, 2, **given)


RISING = {"schedule": "linear", "from": 1.0, "to": 3.0, "steps": 4}
CASES = [
    (registry.kind, name, key)
    for registry, name, key, _ in REAL
    if registry.kind != "objective" and (registry.kind, name, key) not in STARTS
]


@pytest.mark.parametrize(("kind", "name", "key"), CASES)
def test_a_models_numbers_change_in_the_step_itself(kind: str, name: str, key: str) -> None:
    low, high = 0.2, 0.4
    if key == "df":
        low, high = 3.0, 4.0
    if key == "slab":
        low, high = 1.0, 2.0
    fixed: dict[str, Any] = {"learned": False} if kind == "likelihood" else {}
    course = {"schedule": "linear", "from": low, "to": high, "steps": 2}
    if key == "spike":
        course |= {"from": 0.02, "to": 0.05}

    # Labels want a prior and a posterior of one kind.
    both = {"name": name} if name in ("bernoulli", "categorical", "mixed") else None
    both = {"name": "categorical"} if name == "vector_quantized" else both
    other = {"prior": "posterior", "posterior": "prior"}.get(kind)
    beside = {other: both} if both and other else {}

    def program(value: Any) -> LossProgram:
        given = {**beside, kind: {"name": name, key: value, **fixed}}
        return LossProgram(_small(**given), Elbo())

    moving, ends = program(course), [program(course["from"]), program(course["to"])]
    data = small_images(8)
    settings = TrainingSettings(steps=1, batch_size=8, records=1)
    trainer = Trainer(moving, data, settings, compiled=False)
    # At step 2 the traced step of the schedule computes what the end's model does.
    params = {n: p.detach() for n, p in moving.named_parameters()}
    noise = [torch.rand(d.shape) for d in trainer._draws]
    x = data.float() / 255
    found = []
    for each, step in ((moving, 2), (ends[1], 0), (ends[0], 0)):
        buffers = dict(each.named_buffers())
        grads, _, told = each.gradients(params, buffers, x, noise, each.hyper(step), len(data))
        found.append((told, grads))
    torch.testing.assert_close(found[0], found[1])
    assert any(not torch.equal(found[1][1][n], found[2][1][n]) for n in params) or not torch.equal(
        found[1][0], found[2][0]
    )
    # After training, the model has the value at the number of steps done, and keeps it when stored.
    trainer.train(moving, seed=0)
    part = getattr(moving.vae, kind)
    assert isinstance(part, Scheduled)
    stored = program(course).vae
    stored.load_state_dict(moving.vae.state_dict())
    for buffer, value in part.numbers(1).items():
        for model in (moving.vae, stored):
            held = getattr(getattr(model, kind), buffer)
            torch.testing.assert_close(held, torch.full_like(held, value))


def test_members_of_an_ensemble_have_their_own_courses() -> None:
    def program(value: Any, seed: int) -> LossProgram:
        vae = small_vae(seed=seed)
        vae.prior = PRIORS.create("laplace", 3, scale=value)
        return LossProgram(vae, Elbo())

    courses = [0.5, RISING, {**RISING, "schedule": "cosine"}]
    settings = TrainingSettings(steps=6, batch_size=8, records=2)
    histories = []
    for size in (1, 3):
        programs = [program(course, seed) for seed, course in enumerate(courses)]
        trainer = Trainer(programs[0], small_images(), settings, compiled=False, size=size)
        members = [Member(each, seed, settings) for seed, each in enumerate(programs)]
        if size == 1:
            ended = [next(iter(trainer.train_together([member]))) for member in members]
        else:
            ended = sorted(trainer.train_together(members), key=lambda e: e.member)
        histories.append([e.records[-1].loss for e in ended])
        assert [float(p.vae.prior.scale) for p in programs] == [0.5, 3.0, 3.0]
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)


def test_a_learned_scale_has_no_schedule() -> None:
    with pytest.raises(ConfigError, match="goes with learned: false") as error:
        _small(likelihood={"name": "gaussian", "sigma": RISING})
    assert error.value.place == "likelihood.sigma"


def test_info_never_rewards_distance_from_the_prior() -> None:
    with pytest.raises(ConfigError, match="must not fall below 1"):
        OBJECTIVES.create("info", weight={"schedule": "linear", "from": 0.5, "to": 9, "steps": 3})
    OBJECTIVES.create("info", alpha=0.5, weight=0.5)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_schedules_are_finite(value: float) -> None:
    given = {"schedule": "linear", "from": 0.0, "to": value, "steps": 10}
    with pytest.raises(ConfigError, match="finite"):
        OBJECTIVES.resolve("beta", {"beta": given})
    with pytest.raises(ValueError, match="finite"):
        TrainingSettings(lr=given)
    with pytest.raises(ValueError, match="finite"):
        TrainingSettings(lr=value if math.isinf(value) else math.inf)


def test_every_value_of_a_schedule_keeps_the_bounds() -> None:
    given = {"schedule": "linear", "from": 0.5, "to": 0.0, "steps": 10}
    with pytest.raises(ConfigError, match=r"greater than 0 at every step.* reaches 0") as error:
        PRIORS.resolve("laplace", {"scale": given})
    assert error.value.place == "scale"
