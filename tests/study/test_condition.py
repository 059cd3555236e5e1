"""A conditional study, from the file to guided samples, and what cannot be given one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.context import conditioned, learn
from pyrovae.study.config.labels import label_of, varying_settings
from pyrovae.study.config.read import read_study
from pyrovae.study.execute import cluster
from pyrovae.study.plan.planning import Plan

BASE: dict[str, Any] = {
    "dataset": {
        "name": "files",
        "path": "train.csv",
        "columns": ["a", "b"],
        "labels": ["kind", "age"],
    },
    "network": {"name": "mlp", "hidden": [6]},
    "prior": "laplace",
    "posterior": "mean_field_normal",
    "likelihood": "gaussian",
    "objective": "elbo",
    "condition": {"on": ["kind", "age"], "prior": True},
    "latent_dim": 2,
    "training": {"steps": 6, "batch_size": 8, "records": 1},
    "evaluation": {
        "points": 60,
        "samples": 2,
        "metrics": ["mig"],
        "guide_draws": {"points": 2, "draws": 5},
        "images": 4,
    },
}


def table(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=n), "b": rng.normal(size=n), "age": 50 + 9 * rng.normal(size=n)}
    return pd.DataFrame({**columns, "kind": rng.choice(["cat", "dog"], n)})


def plan_of(folder: Path, *overrides: str, **changes: Any) -> Plan:
    content = {"name": "t", "base": {k: v for k, v in {**BASE, **changes}.items() if v is not None}}
    return tiny_plan(folder, *overrides, text=json.dumps(content))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    folder = tmp_path_factory.mktemp("conditional")
    table().to_csv(folder / "train.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = plan_of(folder)
        outcome = run(plan, folder / "results")
    assert outcome.done == 1, outcome.failed
    return folder, plan


def test_a_stored_run_knows_what_it_is_given(
    done: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan = done
    monkeypatch.chdir(folder)
    trained = pyrovae.load_run(plan.runs[0].id)
    condition = trained.model.condition
    assert condition is not None
    assert condition.columns is not None
    kinds, age = condition.columns.columns
    assert kinds.values == ("cat", "dog")
    known = plan.datasets[plan.runs[0].fingerprint].train.labels["age"]
    assert (age.mean, age.scale) == pytest.approx((known.mean(), known.std()))
    x = table()[["a", "b"]].to_numpy(np.float32)[:5]
    told = {"kind": "dog", "age": 50 + np.arange(5.0)}
    context = torch.tensor([[0, 1, (50 + i - age.mean) / age.scale] for i in range(5)])
    with torch.no_grad():
        q = trained.model.encode(torch.from_numpy(x), context)
    np.testing.assert_allclose(trained.encode(x, told), q.mean, atol=1e-6)
    assert trained.score(x, told, samples=4).shape == (5, 4)
    assert trained.reconstruct(x, told).shape == (5, 2)
    assert trained.traverse(context={"kind": "cat", "age": 40}, steps=3).shape == (1, 2, 3, 2)
    assert trained.traverse(x, context=told, steps=3).shape == (5, 2, 3, 2)
    assert trained.interpolate(x[0], x[1], context={"kind": "cat", "age": 4}, steps=3).shape == (
        3,
        2,
    )
    guided = trained.sample(6, context={"kind": "cat", "age": 40})
    assert not torch.equal(guided, trained.sample(6, context={"kind": "dog", "age": 40}))
    with pytest.raises(ConfigError, match="context: is missing: sample needs one: kind, age"):
        trained.sample(6)
    # Measured again, on the run's own data, from the stored columns.
    assert trained.scores["used_units"] >= 0
    report = pyrovae.collapse(trained, x, context=told, information_points=5, sensitivity_points=4)
    assert len(report.table) == 2


def test_commands_take_labels_of_files_and_values(
    done: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan = done
    monkeypatch.chdir(folder)
    name = plan.runs[0].id

    def told(*words: str) -> tuple[int, str]:
        found = CliRunner().invoke(main, [*words, "--results", "results"])
        return found.exit_code, found.output

    both = ("--given", "kind=cat", "--given", "age=44.5")
    assert told("sample", name, "--n", "3", "--out", "s.npy", *both)[0] == 0
    trained = pyrovae.load_run(name)
    drawn = trained.sample(3, context={"kind": "cat", "age": 44.5})
    np.testing.assert_array_equal(np.load("s.npy"), drawn)
    code, output = told("encode", name, "train.csv", "--out", "c.csv")
    assert code == 0, output
    full = table()
    mine = trained.encode(
        full[["a", "b"]].to_numpy(np.float32), {"kind": full["kind"], "age": full["age"]}
    )
    np.testing.assert_allclose(pd.read_csv("c.csv")[["mean_0", "mean_1"]], mine, atol=1e-5)
    full[["a", "b"]].to_csv("bare.csv", index=False)
    assert told("evaluate", name, "bare.csv", "--samples", "2", *both)[0] == 0
    full.assign(kind="cow").to_csv("cow.csv", index=False)
    for words, line in (
        (("sample", name), "is given 'kind' (cat, dog): say which by --given kind=…"),
        (("sample", name, "--given", "kind=cow", "--given", "age=3"), "'kind' cannot be 'cow'"),
        (("sample", name, "--given", "kind=cat", "--given", "age=old"), "must be a finite number"),
        (("sample", name, "--given", "kid=cat"), "did you mean 'kind'?"),
        (("sample", name, "--given", "kind"), "must have the form name=value"),
        (("encode", name, "bare.csv"), "is given 'kind'"),
        (("encode", name, "cow.csv"), "holds 'cow' at [0], which the training data lack"),
        (("prune", name), "a conditional model is not pruned"),
    ):
        code, output = told(*words)
        assert code == 2, output
        assert line in output
        assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "place", "line"),
    [
        (
            {"condition": "knd"},
            "base.condition.on",
            "no label or factor 'knd'; did you mean 'kind'",
        ),
        ({"condition": ["kind", "size"]}, "base.condition.on[1]", "no label or factor 'size'"),
        ({"condition": ["kind", "kind"]}, "base.condition", "stands twice"),
        ({"condition": {"on": "kind", "encodr": True}}, "base.condition.encodr", "unknown key"),
        ({"condition": 3}, "base.condition", "must be a mapping"),
        ({"prior": "ard"}, "base.condition.prior", "'ard' has no location and scale"),
        ({"posterior": "planar"}, "base.posterior", "'planar' has no known marginals"),
        ({"objective": "factor"}, "base.objective", "compares the codes of a minibatch"),
        (
            {"condition": "digit", "dataset": {"name": "linear_gaussian"}},
            "base.condition.on",
            "has no labels, factors or covariates",
        ),
    ],
)
def test_what_cannot_be_given_is_refused_when_planning(
    done: tuple[Path, Plan],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    place: str,
    line: str,
) -> None:
    monkeypatch.chdir(done[0])
    with pytest.raises(ConfigError) as refused:
        plan_of(done[0], **changes)
    assert refused.value.place == place
    assert line in refused.value.message


def test_a_value_that_training_data_lack_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rare = table()
    plan = {"name": "t", "base": {**BASE, "condition": None}}
    rare.to_csv("train.csv", index=False)
    test = tiny_plan(tmp_path, text=json.dumps(plan)).datasets.popitem()[1].test.labels["age"]
    rare.loc[rare["age"] == test[3], "kind"] = "cow"
    rare.to_csv("train.csv", index=False)
    with pytest.raises(ConfigError, match=r"'kind' of 'test' holds 'cow' at \[3\]"):
        plan_of(tmp_path)


def test_a_run_without_a_condition_is_what_it_was(done: tuple[Path, Plan]) -> None:
    def config(**changes: Any) -> Any:
        content = {"name": "t", "base": {**BASE, "dataset": {"name": "sprites"}, **changes}}
        (found,) = read_study(content).runs
        return found.config

    without = {k: v for k, v in BASE.items() if k not in ("condition", "dataset")}
    (absent,) = read_study({"name": "t", "base": {**without, "dataset": {"name": "sprites"}}}).runs
    null = config(condition=None)
    assert "condition" not in null.model_dump(mode="json")
    assert null.identity("data") == absent.config.identity("data")
    shape = config(condition="shape")
    moved = config(condition={"on": "shape", "prior": True})
    assert varying_settings([null, shape, moved]) == ["condition"]
    found = [label_of(each, "condition").phrase() for each in (null, shape, moved)]
    assert found == [
        "none condition",
        "shape condition",
        "shape at encoder, decoder, prior condition",
    ]
    assert shape == config(condition={"on": ["shape"], "encoder": True, "prior": False})
    assert len({each.identity("data") for each in (null, shape, moved)}) == 3


def test_a_cluster_is_handed_the_context(done: tuple[Path, Plan]) -> None:
    (dataset,) = done[1].datasets.values()
    found = cluster._dataset(cluster._arrays(dataset))
    assert found.fingerprint == dataset.fingerprint
    assert found.columns == dataset.columns
    assert torch.equal(found.test.floats(slice(3)).context, dataset.test.floats(slice(3)).context)


def test_labels_are_part_of_what_a_conditional_run_is() -> None:
    ids = set()
    for kinds in (["cat", "dog"], ["dog", "cat"]):
        data = np.random.default_rng(0).normal(size=(50, 2))
        kind = np.array(kinds)[np.arange(50) % 2]
        split = Split(torch.from_numpy(data).float(), labels={"kind": kind})
        dataset = Dataset("d", split, split)
        ids.add(conditioned(dataset, learn(dataset, ["kind"])).fingerprint)
    assert len(ids) == 2
