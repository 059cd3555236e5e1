"""Studies whose runs a validation split decides, and schedules that training cuts short."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from pyrovae.core.errors import ConfigError
from pyrovae.core.schedules import unfinished
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute.execution import Execution
from pyrovae.study.plan.batches import Task
from pyrovae.study.store.folders import Store
from pyrovae.study.store.trained import load_trained
from pyrovae.training import Diverged, LossProgram
from pyrovae.training.validation import validation
from tests.tiny_study import run, tiny_plan

TEXT = """
name: tiny
base:
  dataset: {name: digits, n_train: 60, n_test: 60, validation: 20}
  network: {name: mlp, hidden: [32]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: autoencoder
  latent_dim: 3
  training:
    until: validation
    keep: best
    patience: 2
    steps: 3000
    records: 150
    batch_size: 20
    lr: 0.02
  evaluation: {points: 60, samples: 2, metrics: [], guide_draws: {points: 2, draws: 10}}
"""


def test_a_run_stops_and_its_folder_tells_which_parameters_were_kept(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, text=TEXT)
    assert not run(plan, tmp_path).failed
    folder = Store(tmp_path / "tiny").run(plan.runs[0].id)
    history, kept = folder.history(), folder.kept()
    assert kept is not None
    assert history["step"].iloc[-1] == kept.step + 2 * 20 < 3000
    losses = history.set_index("step")["validation_loss"]
    assert losses.idxmin() == kept.step
    assert losses.min() == kept.loss
    for told in (folder.ended(), (folder.path / "README.md").read_text()):
        assert f"parameters are the best on validation data, of step {kept.step}" in told
    # The parameters are those of that record, not the last: they have its loss.
    vae, dataset = load_trained(folder)
    assert vae.kept == kept
    loss = validation(dataset, plan.runs[0].config.training, seed=0)
    assert loss is not None
    program = LossProgram(vae, OBJECTIVES.create("autoencoder")).eval()
    assert loss(program, kept.step) == pytest.approx(kept.loss, rel=1e-5)


def test_measuring_again_keeps_what_was_kept(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, text=TEXT)
    run(plan, tmp_path)
    before = Store(tmp_path / "tiny").run(plan.runs[0].id).kept()
    other = tiny_plan(tmp_path, "evaluation.samples=3", text=TEXT)
    assert other.runs[0].id == plan.runs[0].id
    run(other, tmp_path)
    folder = Store(tmp_path / "tiny").run(plan.runs[0].id)
    assert folder.metrics()["evaluation"]["samples"] == 3
    assert folder.kept() == before is not None


def test_a_run_that_was_interrupted_ends_the_same(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, text=TEXT)
    run(plan, tmp_path / "whole")
    store = Store(tmp_path / "parts" / "tiny")
    (planned,), asked = plan.runs, iter([False, False, True])
    dataset = plan.datasets[planned.fingerprint]
    task, told = Task(plan.runs, 1, planned.structure), []
    for _ in range(20):
        execution = Execution(
            store, compiled=False, stop=partial(next, asked, True), checkpoint_seconds=0
        )
        execution.execute(task, dataset, lambda event: told.append(event.kind))
        if "done" in told:
            break
        asked = iter([False] * 2 + [True])
    assert "stopped" in told
    assert "done" in told
    whole, parts = Store(tmp_path / "whole" / "tiny").run(planned.id), store.run(planned.id)
    assert parts.kept() == whole.kept()
    assert parts.history()["loss"].tolist() == pytest.approx(
        whole.history()["loss"].tolist(), abs=0, nan_ok=True
    )
    for name, tensor in whole.parameters().items():
        assert torch.equal(tensor, parts.parameters()[name])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.validation=null"], r"training\.until: needs a validation split"),
        (
            ["dataset.validation=null", "training.until=steps", "training.patience=null"],
            r"training\.",
        ),
        (
            ["objective={name: beta, beta: {schedule: cyclical, from: 0, to: 1, steps: 9}}"],
            "which is never of 3,000",
        ),
        (
            ["objective={name: annealed, steps: 4000}"],
            "which is at step 4,000 of 3,000",
        ),
        (["training.until=steps"], "patience goes with until: validation"),
        (["training.patience=0"], "greater than 0"),
        (["training.keep=first"], "last"),
    ],
)
def test_what_a_validation_split_cannot_decide_is_refused(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        tiny_plan(tmp_path, *overrides, text=TEXT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "remark"),
    [
        (
            "objective={name: beta, beta: {schedule: linear, from: 0, to: 4, steps: 200}}",
            "its schedule takes 200 steps, and training has 100: it ends at 1.98 instead of 4",
        ),
        (
            "objective={name: annealed, steps: 1000}",
            "its schedule takes 1,000 steps, and training has 100: it ends at 0.099 instead of 1",
        ),
        (
            "objective={name: annealed, shape: cyclical, steps: 80}",
            "training of 100 steps ends within a cycle's ramp",
        ),
        ("objective={name: lagging, until: 300}", "it changes until step 300"),
        (
            "objective={name: capacity, capacity: {schedule: linear, from: 0, to: 9, steps: 101}}",
            "takes 101 steps",
        ),
        (
            "prior={name: spike_slab, spike: {schedule: linear, from: 0.3, to: 0.1, steps: 999}}",
            "takes 999 steps",
        ),
        ("training.lr={schedule: cosine, from: 1.0e-3, to: 0, steps: 300}", "takes 300 steps"),
        ("objective={name: annealed, steps: 100}", ""),
        ("objective={name: beta, beta: {schedule: cyclical, from: 0, to: 1, steps: 50}}", ""),
        ("objective={name: beta, beta: {schedule: linear, from: 2, to: 2, steps: 500}}", ""),
        ("objective={name: lagging, until: 100}", ""),
    ],
)
def test_a_schedule_that_outlasts_training_is_told_in_one_line(
    tmp_path: Path, override: str, remark: str
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(TEXT)
    shorter = "training={steps: 100}" if "lr" not in override else "training.steps=100"
    overrides = (
        [shorter, override]
        if "lr" not in override
        else ["training={steps: 100, lr: {schedule: cosine, from: 1.0e-3, to: 0, steps: 300}}"]
    )
    study = load_study_file(file, overrides=["seeds=3", *overrides])
    assert len(study.remarks) == (1 if remark else 0), study.remarks
    if remark:
        assert remark in study.remarks[0]
        assert study.remarks[0].startswith("--set ")


def test_the_value_that_is_told_is_the_one_of_the_last_step() -> None:
    rise = {"schedule": "linear", "from": 0, "to": 1, "steps": 10}
    assert unfinished(rise, 10) is None
    assert "ends at 0.8 instead of 1" in str(unfinished(rise, 9))
    assert unfinished(3.0, 1) is None


def test_a_diverged_run_keeps_nothing(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, "training.lr=1.0e+30", text=TEXT)
    assert run(plan, tmp_path).failed
    folder = Store(tmp_path / "tiny").run(plan.runs[0].id)
    stored = json.loads((folder.path / "failure.json").read_text())
    assert Diverged(stored["step"], stored["cause"])
