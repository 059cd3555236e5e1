"""A study of layered models, from the file to its tables, and what layers do not go with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.models.layered import LayeredVAE
from pyrovae.study.config.labels import label_of
from pyrovae.study.config.read import read_study
from pyrovae.study.plan.planning import Plan

BASE: dict[str, Any] = {
    "dataset": {"name": "linear_gaussian", "dim": 6, "rank": 2, "n_train": 200, "n_test": 100},
    "network": {"name": "mlp", "hidden": [6]},
    "prior": "standard_normal",
    "posterior": "mean_field_normal",
    "likelihood": "gaussian",
    "objective": "elbo",
    "layers": {"sizes": [3, 2], "guide": "ladder", "hidden": [4]},
    "training": {"steps": 6, "batch_size": 16, "records": 2},
    "evaluation": {
        "points": 60,
        "samples": 2,
        "metrics": [],
        "guide_draws": {"points": 2, "draws": 5},
        "images": 4,
    },
}


def content(**changes: Any) -> dict[str, Any]:
    grid = changes.pop("grid", None)
    base = {k: v for k, v in {**BASE, **changes}.items() if v is not None}
    return {"name": "t", "base": base, **({"grid": grid} if grid else {})}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    folder = tmp_path_factory.mktemp("layers")
    text = json.dumps(content(grid={"layers": [[3], BASE["layers"]]}))
    plan = tiny_plan(folder, text=text)
    outcome = run(plan, folder / "results")
    assert not outcome.failed
    return folder / "results", plan


def test_a_study_has_scores_by_layer(done: tuple[Path, Plan]) -> None:
    results, plan = done
    study = pyrovae.load_study(results / "t")
    runs = study.runs.set_index("run")
    one, two = (runs.loc[each.id] for each in plan.runs)
    assert two["latent_dim"] == 5
    assert two["rate_z1"] + two["rate_z2"] == pytest.approx(two["rate"], rel=1e-5)
    assert two["used_units_z1"] + two["used_units_z2"] == two["used_units"]
    assert one["rate_z1"] == pytest.approx(one["rate"])
    units = study.units()
    mine = units[units["run"] == plan.runs[1].id]
    assert mine.sort_values("unit")["layer"].tolist() == ["z1"] * 3 + ["z2"] * 2
    history = study.history()
    assert history.loc[history["run"] == plan.runs[1].id, "rate_z2"].notna().all()


def test_a_stored_run_opens_and_prints_its_layers(done: tuple[Path, Plan]) -> None:
    results, plan = done
    folder = results / "t" / "runs" / plan.runs[1].id
    vae = pyrovae.load_run(folder).model
    assert isinstance(vae, LayeredVAE)
    assert vae.blocks.sizes == (3, 2)
    said = CliRunner().invoke(main, ["collapse", str(folder), "--results", str(results)])
    assert said.exit_code == 0, said.output
    assert "z2" in said.output


@pytest.mark.parametrize(
    ("changes", "place", "told"),
    [
        ({"layers": []}, "base.layers", "at least 1"),
        ({"layers": [3, 0]}, "base.layers", "greater than 0"),
        ({"layers": {"sizes": [3], "guid": "ladder"}}, "base.layers.guid", "unknown key"),
        ({"layers": {"sizes": [3, 2], "priors": ["lapace"]}}, "base.layers.priors", "unknown"),
        ({"latent_dim": 7}, "base.latent_dim", "5 here"),
        ({"condition": "factor"}, "base.condition", "layers"),
        ({"layers": None}, "latent_dim", "missing"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(
    changes: dict[str, Any], place: str, told: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read_study(content(**changes))
    assert place in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objective": "factor"}, "one flat code"),
        ({"posterior": "full_rank_normal"}, "dependent dimensions"),
        ({"prior": "flow"}, "no known marginals"),
        ({"prior": "vampprior", "layers": [3, 2]}, "ladder"),
        ({"layers": {"sizes": [3, 2], "priors": ["ard"]}}, "no location and scale"),
    ],
)
def test_what_does_not_fit_is_refused_when_planning(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        tiny_plan(tmp_path, text=json.dumps(content(**changes)))


def test_a_run_without_layers_is_what_it_was() -> None:
    flat = read_study(content(layers=None, latent_dim=3)).runs[0].config
    assert "layers" not in flat.model_dump(mode="json")
    null = content(latent_dim=3)
    null["base"]["layers"] = None
    assert read_study(null).runs[0].config == flat
    deep = read_study(content()).runs[0].config
    assert deep.identity("x") != flat.identity("x")
    assert label_of(deep, "layers").phrase() == "3, 2, ladder layers"
    assert label_of(flat, "layers").shown() == "none"


@pytest.mark.slow
def test_runs_of_one_structure_train_together_as_alone(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, "seeds=2", text=json.dumps(content()))
    outcome = run(plan, tmp_path / "a")
    assert not outcome.failed
    alone = run(tiny_plan(tmp_path, "seeds=[1]", text=json.dumps(content())), tmp_path / "b")
    assert not alone.failed
    first, second = (
        pyrovae.load_run(tmp_path / place / "t" / "runs" / plan.runs[1].id).model
        for place in ("a", "b")
    )
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert np.isfinite(first.history["elbo"]).all()
