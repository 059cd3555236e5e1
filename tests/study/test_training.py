"""How a study says what moves parameters: identities, programs, labels, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save
from tiny_study import TINY, run, tiny_plan

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.report.look.presented import present
from pyrovae.report.study.methods import methods
from pyrovae.study.config.labels import Label, columns, label_of, phrase, title, varying_settings
from pyrovae.study.plan.batches import program
from pyrovae.study.plan.planning import Plan
from pyrovae.study.store import checkpoints
from pyrovae.study.store.checkpoints import Checkpoint, Checkpoints
from pyrovae.study.store.results import load_study
from pyrovae.training import Member, Snapshot, Stopped, Trainer, TrainingSettings
from pyrovae.training.optimizers import Sgd

ONE = ("seeds=1", "grid={}", "prior=standard_normal")


def _plan(folder: Path, *overrides: str) -> Plan:
    return tiny_plan(folder, *ONE, *overrides)


def test_what_is_at_its_default_is_no_part_of_an_identity(tmp_path: Path) -> None:
    assert set(TrainingSettings().model_dump()) == {"steps", "batch_size", "lr", "records"}
    base = _plan(tmp_path).runs[0]
    same = (
        "training.optimizer=adam",
        "training.optimizer={name: adam, eps: 1.0e-8, betas: [0.9, 0.999], weight_decay: 0.0}",
        "training.clip_norm=null",
        "training.clip_value=null",
        "training.rates={}",
        "training.rates.guide=1.0",
        "network.norm=null",
        "network.dropout=0.0",
    )
    for override in same:
        planned = _plan(tmp_path, override).runs[0]
        assert planned.id == base.id, override
        assert program(planned) == program(base)
    others = (
        "training.optimizer=sgd",
        "training.optimizer={name: adam, eps: 1.0e-7}",
        "training.clip_norm=1.0",
        "training.clip_value=1.0",
        "training.rates.guide=2.0",
        "network.norm=layer",
        "network.dropout=0.1",
    )
    planned = [_plan(tmp_path, override).runs[0] for override in others]
    assert len({base.id, *(run.id for run in planned)}) == len(others) + 1
    assert len({program(base), *map(program, planned)}) == len(others) + 1


BAD = [
    ("optimizer=adm", "training.optimizer.name: unknown optimizer 'adm'; did you mean 'adam'?"),
    ("optimizer=3", "training.optimizer: must be an optimizer's name or a mapping with 'name'"),
    ("optimizer={eps: 0.1}", "must be an optimizer's name or a mapping with 'name'"),
    (
        "optimizer={name: sgd, betas: [0.9, 0.9]}",
        "training.optimizer.betas: optimizer 'sgd' has no",
    ),
    ("optimizer={name: sgd, momentum: 1.0}", "training.optimizer.momentum: optimizer 'sgd': Input"),
    ("optimizer={name: sgd, nesterov: true}", "optimizer.nesterov: needs a momentum above 0"),
    ("optimizer={name: adam, betas: [0.9]}", "training.optimizer.betas: optimizer 'adam': List"),
    ("optimizer={name: adam, betas: [0.9, 1.0]}", "training.optimizer.betas.1: optimizer 'adam'"),
    ("optimizer={name: adam, eps: 0}", "training.optimizer.eps: optimizer 'adam': Input should be"),
    ("optimizer={name: gone:Rule}", "training.optimizer"),
    ("clip_norm=0", "training.clip_norm: Input should be greater than 0"),
    ("clip_value=-1.0", "training.clip_value: Input should be greater than 0"),
    ("rates={decoder: 2.0}", "training.rates.decoder: unknown key"),
    ("rates.guide=0", "training.rates.guide: Input should be greater than 0"),
    ("rates.objective=2.0", "training.rates.objective: objective 'elbo' has no parameters of its"),
    ("lr={schedule: plateau}", "training.lr.from: Field required"),
    ("lr={schedule: plateau, from: 0.1, factor: 1}", "training.lr.factor: Input should be less"),
    ("lr={schedule: plateau, from: 0.1, to: 1}", "training.lr: it falls: 'to' must not be above"),
    (
        "lr={schedule: piecewise, values: [1, 2], milestones: [3, 4]}",
        "training.lr: 2 values need 1 milestones",
    ),
    (
        "lr={schedule: piecewise, values: [1, 2, 3], milestones: [4, 4]}",
        "training.lr: milestones must rise",
    ),
    (
        "lr={schedule: piecewise, values: [1, -2], milestones: [4]}",
        "training.lr: Value error, a learning rate's schedule must not be negative",
    ),
    ("lr={schedule: plato, from: 0.1}", "training.lr: Input tag 'plato'"),
]


@pytest.mark.parametrize(("override", "told"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_input_is_one_line_with_its_place(tmp_path: Path, override: str, told: str) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    given = [f"--set={each}" for each in (*ONE, f"training.{override}")]
    result = CliRunner().invoke(main, ["study", "plan", str(tmp_path / "tiny.yaml"), *given])
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert told in line


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("network.norm=batch", "training.batch_size=1"), "training.batch_size: batch normalis"),
        (("network.norm=batch", "posterior=semi_amortized"), "network: posterior 'semi_amortized'"),
        (
            ("network.norm=group",),
            "network.norm: network 'mlp': Input should be 'layer' or 'batch'",
        ),
        (("network.dropout=1.0",), "network.dropout: network 'mlp': Input should be less than 1"),
        (
            ("training.lr={schedule: plateau, from: 0.1, watch: validation}",),
            "training.lr.watch: needs a validation split",
        ),
        (
            ("training.until=settled", "training.lr={schedule: plateau, from: 0.1}"),
            "training: Value error, until: settled lets the learning rate fall by itself",
        ),
        (
            ("objective={name: beta, beta: {schedule: plateau, from: 1.0}}",),
            "objective.beta: objective 'beta': Input tag 'plateau'",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, overrides: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigError) as error:
        _plan(tmp_path, *overrides)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


SWEEP = """  training.optimizer:
    - adam
    - {name: sgd, momentum: 0.9}
    - {name: sgd, momentum: 0.5}
  training.rates.guide: [1.0, 2.0]
"""


def test_a_sweep_over_optimisers_is_labelled(tmp_path: Path) -> None:
    text = TINY.replace("  prior: [standard_normal, student_t]", SWEEP).replace(
        "base:", "base:\n  prior: laplace"
    )
    runs = tiny_plan(tmp_path, "seeds=1", text=text).runs
    configs = [run.config for run in runs]
    paths = ["training.optimizer", "training.rates.guide"]
    assert varying_settings(configs) == paths
    labels = [label_of(config, "training.optimizer") for config in configs]
    assert len({(label.name, label.parameters.get("momentum")) for label in labels}) == 3
    assert {label.changed().shown() for label in labels} == {
        "Adam", "SGD (momentum = 0.9)", "SGD (momentum = 0.5)",
    }  # fmt: skip
    assert phrase("training.optimizer", "Adam") == "optimiser Adam"
    assert title("training.rates.guide") == "Rate factor of the guide"
    table = columns(configs, [run.labels() for run in runs])
    told = {(row["training.optimizer"], row["training.rates.guide"]) for row in table}
    assert len(told) == 6
    # A default that is written out is the same level, whatever it is written as.
    assert Label("training.optimizer", "adam", {}).changed().shown() == "Adam"


def test_what_is_left_out_may_be_a_default(tmp_path: Path) -> None:
    text = TINY.replace("seeds: 2\n", "") + SWEEP + "  training.precision: [float32, bf16]\n"
    for excluded, left in (
        ("{training.optimizer: adam}", 32),
        ("{training.optimizer: sgd}", 16),
        ("{training: {optimizer: {name: sgd, momentum: 0.5}}}", 32),
        ("{training.optimizer.momentum: 0.9}", 32),
        ("{training.precision: float32}", 24),
        ("{training: {precision: float32, rates: {guide: 1.0}}}", 36),
    ):
        overrides = (f"exclude=[{excluded}]", "seeds=2")
        assert len(tiny_plan(tmp_path, *overrides, text=text).runs) == left, excluded


def test_a_single_parameter_can_be_varied(tmp_path: Path) -> None:
    overrides = (
        "training.optimizer=adamw",
        "grid={training.optimizer.weight_decay: [0.1, 0.2]}",
        "prior=laplace",
    )
    runs = tiny_plan(tmp_path, "seeds=1", *overrides).runs
    found = [run.config.training.optimizer for run in runs]
    assert [(each["name"], each["weight_decay"]) for each in found] == [
        ("adamw", 0.1),
        ("adamw", 0.2),
    ]


OWN = '''
"""A rule of one's own."""
from pyrovae.training.optimizers import Optimizer


class SignDescent(Optimizer):
    """Steps of the learning rate along the gradient's sign."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def update(self, params, grads, moments, step, lr):
        return {n: params[n] - self.scale * lr * g.sign() for n, g in grads.items()}, {}
'''


def test_a_study_trains_with_them_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "sign_descent.py").write_text(OWN)
    text = TINY.replace("  prior: [standard_normal, student_t]", "  training.optimizer:\n"
        "    - {name: sgd, momentum: 0.9}\n    - 'sign_descent:SignDescent'")  # fmt: skip
    text = text.replace("base:", "base:\n  prior: laplace")
    text = text.replace("seeds: 2", "seeds: 1").replace("metrics: [mig]", "metrics: []")
    plan = tiny_plan(tmp_path, "training.steps=20", "training.lr=1.0e-4", text=text)
    assert run(plan, tmp_path / "results").done == 2
    study = load_study(tmp_path / "results" / "tiny")
    assert study.runs["training.optimizer"].nunique() == 2
    told = methods(present(study, unsettled=True))
    assert "Training by SGD (momentum = 0.9, nesterov = False, weight decay = 0) (Robbins" in told
    assert "or by sign descent:SignDescent" in told
    # Read where the module is no more, and an optimiser of that name unknown.
    for stored in TrainingSettings(optimizer="gone"), TrainingSettings(optimizer="no_such:Rule"):
        assert TrainingSettings(**stored.model_dump()) == stored


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("g.sign()", "g.sin()"), None),
        (("self.scale * lr", "lr.item()"), "reads a number out of a tensor"),
        (("- self.scale", "- self.scales"), "its first step fails: AttributeError"),
        (("{n: params", "{n + 's': params"), "of other names or shapes"),
        (("self.scale = scale", "1 / 0"), "its first step fails: ZeroDivisionError"),
    ],
)
def test_a_rule_that_cannot_be_traced_is_refused_when_planning(
    tmp_path: Path, change: tuple[str, str], told: str | None
) -> None:
    module = f"rule_{abs(hash(change))}"
    (tmp_path / f"{module}.py").write_text("import torch\n" + OWN.strip().replace(*change))
    override = f"training.optimizer='{module}:SignDescent'"
    if told is None:
        assert _plan(tmp_path, override).runs
        return
    with pytest.raises(ConfigError, match=told) as error:
        _plan(tmp_path, override)
    assert "training.optimizer" in error.value.place
    assert "\n" not in str(error.value)


# --- checkpoints of before ----------------------------------------------------------------------


def test_a_checkpoint_of_before_there_was_a_choice_goes_on(tmp_path: Path) -> None:
    """As version 0.1.0 wrote it: two moments by names of their own, and no record of losses."""
    x = (torch.rand(40, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    settings = TrainingSettings(steps=120, batch_size=8, records=2, lr=1e-2)
    store = Checkpoints(tmp_path)

    def member(**given: Any) -> Member:
        from pyrovae.objectives import Elbo
        from pyrovae.training import LossProgram

        vae = pyrovae.build(6, latent_dim=2, network={"name": "mlp", "hidden": [4]})
        return Member(LossProgram(vae, Elbo()), 0, settings, **given)

    def keep(snapshot: Snapshot, records: Any) -> None:
        history = pd.DataFrame({"step": [r.step for r in records]})
        store.save("run", Checkpoint(snapshot, history, 0.0))

    whole = member()
    trainer = Trainer(whole.program, x, settings, compiled=False)
    list(trainer.train_together([whole]))
    asked = iter([False, True])
    first = member(keep=keep)
    with pytest.raises(Stopped):
        list(trainer.train_together([first], stop=lambda: next(asked)))
    path = store.path("run")
    tensors = {
        name.removeprefix("moments."): tensor
        for name, tensor in load_file(path).items()
        if name not in ("seen", "heeded")
    }
    assert {name.partition("/")[0] for name in tensors} == {"window", "params", "first", "second"}
    stored = store.load("run")
    assert stored is not None
    metadata = {
        "step": str(stored.snapshot.step),
        "seconds": "0.0",
        "history": json.dumps(stored.history.to_dict("list")),
    }
    metadata["sha256"] = checkpoints._digest(tensors, metadata)
    path.write_bytes(save(tensors, metadata))
    old = store.load("run")
    assert old is not None
    rest = member(start=old.snapshot)
    list(trainer.train_together([rest]))
    for p, q in zip(rest.program.parameters(), whole.program.parameters(), strict=True):
        assert torch.equal(p, q)


# --- from Python --------------------------------------------------------------------------------


def test_fit_takes_names_mappings_and_classes() -> None:
    x = (torch.rand(32, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float()

    def fitted(**given: Any) -> torch.Tensor:
        vae = pyrovae.build(5, latent_dim=2, network={"name": "mlp", "hidden": [4]})
        pyrovae.fit(vae, x, steps=6, records=1, lr=0.1, progress=False, **given)
        return torch.cat([p.detach().flatten() for p in vae.parameters()])

    plain = fitted(optimizer="sgd")
    assert torch.equal(plain, fitted(optimizer=Sgd))
    assert torch.equal(plain, fitted(optimizer={"name": Sgd, "momentum": 0.0}))
    assert not torch.equal(plain, fitted(optimizer={"name": "sgd", "momentum": 0.5}))
    assert not torch.equal(plain, fitted(optimizer="sgd", clip_norm=1e-3))
    assert not torch.equal(plain, fitted(optimizer="sgd", rates={"guide": 0.5}))
    for given, told in (
        ({"optimizer": "sdg"}, "optimizer: unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "optimizer.nesterov: needs a momentum"),
        ({"optimizer": torch.nn.Linear}, "optimizer: 'torch.nn.modules.linear:Linear' is no opt"),
        ({"clip_norm": -1.0}, "clip_norm: Input should be greater than 0"),
        ({"rates": {"decoder": 1.0}}, "rates.decoder: unknown key"),
        ({"rates": {"objective": 2.0}}, "rates.objective: objective 'elbo' has no parameters"),
    ):
        with pytest.raises(ConfigError) as error:
            fitted(**given)
        assert told in str(error.value)


def test_a_fitted_model_is_in_evaluation_mode() -> None:
    x = (torch.rand(32, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    network = {"name": "mlp", "hidden": [8], "dropout": 0.5, "norm": "batch"}
    vae = pyrovae.build(5, latent_dim=2, network=network)
    vae = pyrovae.fit(vae, x, steps=4, records=1, progress=False)
    assert torch.equal(vae.encode(x).mean, vae.encode(x).mean)
    torch.testing.assert_close(vae.encode(x[:3]).mean, vae.encode(x).mean[:3])
