"""Whatever varies is a label everywhere, and no number pools different configurations."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrovae.analysis import heldout
from pyrovae.analysis.factors import split_factors
from pyrovae.analysis.study import load_analysis, table_of
from pyrovae.commands.main import main
from pyrovae.report import present
from pyrovae.report.look import captions, names
from pyrovae.report.look import presented as presented_module
from pyrovae.report.look.encoding import encode
from pyrovae.report.page.content import content
from pyrovae.report.study.gallery import draw
from pyrovae.study.config.labels import cells, columns
from pyrovae.study.config.told import varying
from pyrovae.study.execute.runner import describe
from pyrovae.study.plan.planning import Plan, labels_of
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.results import StudyResults, load_study
from report.made import compare_study, make_study, planned

COSINE = {"schedule": "cosine", "from": 1e-3, "to": 0.0, "steps": 100}
REST = {"family": "gaussian", "count": "rest"}
#: Kind of what varies: the cells, the labels that vary, what a reader must find of each cell.
KINDS: dict[str, tuple[list[dict[str, Any]], list[str], list[str]]] = {
    "part": (
        [{"prior": "laplace"}, {"prior": "student_t"}],
        ["prior"],
        ["Laplace", "Student t"],
    ),
    "parameter": (
        [{"likelihood": {"name": "gaussian", "sigma": s}} for s in (0.5, 2.0)],
        ["likelihood"],
        ["σ = 0.5", "σ = 2"],
    ),
    "columns": (
        [
            {"likelihood": {"name": "mixed", "columns": [{"family": "poisson", "count": 8}, rest]}}
            for rest in (REST, REST | {"sigma": 2.0})
        ],
        ["likelihood"],
        ["8 Poisson, rest Gaussian", "rest Gaussian (σ = 2)"],
    ),
    "network": (
        [{"network": {"name": "mlp", "hidden": h}} for h in ([8], [8, 8])],
        ["network"],
        ["hidden = [8]", "hidden = [8, 8]"],
    ),
    "schedule of a part": (
        [{"objective": {"name": "beta", "beta": b}} for b in (4.0, {**COSINE, "from": 0.0})],
        ["objective"],
        ["β = 4", "β = cosine 0 to 0 in 100 steps"],
    ),
    "data": (
        [{"dataset": {"name": "sprites", "n_train": n}} for n in (100, 200)],
        ["dataset"],
        ["n train = 100", "n train = 200"],
    ),
    # What came after runs had been stored is not written down at its default.
    "data, a later parameter": (
        [{"dataset": {"name": "sprites", **grid}} for grid in ({}, {"positions": 8})],
        ["dataset"],
        ["positions = 32", "positions = 8"],
    ),
    "latent_dim": ([{"latent_dim": d} for d in (4, 8)], ["latent_dim"], ["4", "8"]),
    "learning rate": (
        [{"training.lr": r} for r in (1e-3, 1e-2)],
        ["training.lr"],
        ["0.001", "0.01"],
    ),
    "schedule": (
        [{"training.lr": r} for r in (1e-3, COSINE)],
        ["training.lr"],
        ["0.001", "cosine 0.001 to 0 in 100 steps"],
    ),
    "steps": ([{"training.steps": n} for n in (100, 200)], ["training.steps"], ["100", "200"]),
    "precision": (
        [{}, {"training.precision": "bf16"}],
        ["training.precision"],
        ["float32", "bf16"],
    ),
    # How a run is evaluated is not part of what it is, so it varies beside something else only.
    "evaluation": (
        [{"prior": p, "evaluation.points": n} for p, n in (("laplace", 100), ("student_t", 200))],
        ["prior", "evaluation.points"],
        ["Laplace", "Student t"],
    ),
    "setting of a setting": (
        [
            {"prior": p, "evaluation.collapse.sensitivity_points": n}
            for p, n in (("laplace", 8), ("student_t", 16))
        ],
        ["prior", "evaluation.collapse.sensitivity_points"],
        ["Laplace", "Student t"],
    ),
    "setting that some have": (
        [{"prior": "laplace"}, {"prior": "student_t", "evaluation.diagnostics": {}}],
        ["prior", "evaluation.diagnostics"],
        ["Laplace", "Student t"],
    ),
    "own model": (
        [{"model": {"name": "my_models:wide", "source": "0", "width": w}} for w in (8, 16)],
        ["network"],
        ["width = 8", "width = 16"],
    ),
    "two": (
        [{"prior": p, "training.lr": r} for p in ("laplace", "student_t") for r in (1e-3, 1e-2)],
        ["prior", "training.lr"],
        ["Laplace", "Laplace", "Student t", "Student t"],
    ),
    "side by side": (
        [
            {"training.lr": r, "training.batch_size": b, "evaluation.samples": s}
            for r, b, s in ((1e-3, 64, 4), (1e-2, 128, 8))
        ],
        ["training.batch_size", "training.lr", "evaluation.samples"],
        ["64", "128"],
    ),
}


def _levelled(study: StudyResults, cell_sizes: int) -> StudyResults:
    """Give the runs of cell k the value 3k, so that pooling of any two shows."""
    value = [3.0 * (i // cell_sizes) for i in range(len(study.runs))]
    counts = dict.fromkeys(("used_units", "informative_units"), value)
    return dataclasses.replace(study, runs=study.runs.assign(**counts, mig=value))


@pytest.mark.parametrize("kind", KINDS)
def test_every_consumer_keeps_cells_apart(tmp_path: Path, kind: str) -> None:
    chosen, labels, said = KINDS[kind]
    study = _levelled(make_study(tmp_path / "s", seeds=3, units=4, cells=chosen), 3)
    n = len(chosen)
    presented = present(study)
    assert study.varying() == labels
    assert study.runs["cell"].nunique() == n
    assert len(study.runs[labels].drop_duplicates()) == n
    # Table, with readable text and each cell's own numbers.
    table = presented.cells
    expected = [3.0 * k for k in range(n)]
    assert table["used_units_mean"].tolist() == expected
    for column in ("low", "high"):  # around each cell's own mean, by less than a unit
        assert ((table[f"used_units_{column}"] - expected).abs() < 1).all()
    assert table["used_units_n"].tolist() == table["seeds"].tolist() == [3] * n
    for title, text in zip(presented.titles.values(), said, strict=True):
        assert text in title
    assert len(set(presented.titles.values())) == n
    # Figures and their captions.
    (drawn,) = draw(presented, "active_units")
    used = drawn.data[drawn.data["score"] == "used_units"]
    first = used.drop_duplicates("mean")
    assert first["mean"].tolist() == expected
    assert ((first[["low", "high"]].sub(first["mean"], axis=0)).abs() < 1).all(axis=None)
    assert drawn.data["n"].eq(3).all()
    assert "3 seeds" in drawn.caption
    assert captions.seeds(presented) == "3 seeds"
    (profile,) = draw(presented, "kl_profile")
    units = study.runs["latent_dim"].groupby(study.runs["cell"], sort=False).first()
    assert len(profile.data) == units.sum()
    assert profile.data["n"].eq(3).all()
    (evolved,) = draw(presented, "evolution")
    assert evolved.data["n"].eq(3).all()
    # Analysis: factors tell all cells apart, and what follows from them is said.
    runs, factors = table_of(study)
    assert len(runs[factors].drop_duplicates()) == n
    assert {*factors, *presented.encoding.tied} == set(labels)
    for label in presented.encoding.tied:
        assert f"{names.title(label)}: " in captions.setting(presented)
    # Page: a row of a table is filtered by every label.
    page = content(presented)
    assert len(page.labels) == len(labels)
    means = [cell["means"]["used_units"][0] for cell in page.overview["cells"]]
    assert means == expected
    assert len(presented.representatives) == n


def test_two_rates_are_not_pooled_by_a_stored_comparison(tmp_path: Path) -> None:
    study = make_study(tmp_path / "rates", seeds=3, units=4, **{"training.lr": [1e-3, 1e-2]})
    compare_study(study)
    stored = load_analysis(load_study(study.store.root))
    assert stored is not None
    assert stored.fresh
    assert stored.factors == ["training.lr"]
    (drawn,) = draw(present(study), "effects")
    ticks = [t.get_text() for t in drawn.figure.axes[0].get_yticklabels()]
    assert ticks == ["learning rate 0.001", "learning rate 0.01"]
    (profiles,) = draw(present(study), "performance_profiles")
    assert "Performance profiles by learning rate" in profiles.caption


def test_held_out_cells_have_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(tmp_path / "rates", seeds=2, units=4, **{"training.lr": [1e-3, 1e-2]})
    pointwise = {run: [float(i // 2), 0.5, 0.2 * i] for i, run in enumerate(study.runs["run"])}
    monkeypatch.setattr(heldout, "_kept", lambda study, known, run: np.array(pointwise[run]))
    table = heldout.compare_cells(study, points=3)
    assert sorted(table["training.lr"]) == [1e-3, 1e-2]
    assert table["seeds"].tolist() == [2, 2]


def test_plan_and_failures_say_what_varies(tmp_path: Path) -> None:
    grid = {"training.lr": [1e-3, 1e-2], "prior": ["laplace", "student_t"]}
    study = make_study(tmp_path / "s", seeds=2, units=4, fail=[6], **grid)
    entries = json.loads((study.store.root / "study.json").read_text())["runs"]
    assert [entry["labels"]["training.lr"] for entry in entries] == [1e-3] * 4 + [1e-2] * 4
    (failure,) = study.failed.values()
    what = "student_t · training.lr=0.01 · seed 0"
    assert failure == f"diverged at step 17: the loss is not finite ({what})"
    results = ["--results", str(tmp_path)]
    status = CliRunner().invoke(main, ["study", "status", "s", *results])
    assert what in status.output
    runs = [planned({"training.lr": rate}, 4, 0) for rate in (1e-3, 1e-2)]
    assert list(describe(Plan("p", "", tuple(runs), {})).values()) == [
        "training.lr=0.001 · seed 0",
        "training.lr=0.01 · seed 0",
    ]


def test_where_all_runs_of_a_level_failed_the_message_still_names_it(tmp_path: Path) -> None:
    rates = {"training.lr": [1e-3, 1e-2]}
    study = make_study(tmp_path / "s", seeds=2, units=4, fail=[2, 3], **rates)
    assert study.varying() == []
    assert all("training.lr=0.01" in text for text in study.failed.values())


def test_runs_stored_before_there_were_labels_of_settings_are_told_apart(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=2, units=4, **{"training.lr": [1e-3, 1e-2]})
    path = study.store.root / "study.json"
    plan = json.loads(path.read_text())
    for entry in plan["runs"]:
        del entry["labels"]["training.lr"]
    path.write_text(json.dumps(plan))
    assert load_study(study.store.root).varying() == ["training.lr"]


def test_seeds_that_were_evaluated_otherwise_are_another_cell() -> None:
    configs = [planned({"evaluation.points": n}, 4, s).config for s, n in enumerate((100, 100, 50))]
    found = cells(configs, [config.cell() for config in configs])
    assert found[0] == found[1] == configs[0].cell() != found[2]


def test_a_default_that_has_changed_tells_equal_texts_apart() -> None:
    """A plug-in's prior that is not installed any more, stored under two defaults."""
    stored = {**planned({}, 4, 0).labels(), "prior": "spiky"}
    usual = planned({}, 4, 0).config
    old, new = (usual.model_copy(update={"prior": {"name": "spiky", "w": w}}) for w in (1.0, 2.0))
    first, second, third = columns([old, new, old], [stored] * 3)
    assert first["prior"] == third["prior"] == "spiky"
    assert second["prior"] != "spiky"


def test_a_part_that_no_registry_has_any_more_can_be_read(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=1, units=4)
    for run in study.runs["run"]:
        path = study.folder(run).path / "config.yaml"
        path.write_text(path.read_text().replace("standard_normal", "spiky\n  width: 2.0"))
    gone = load_study(study.store.root)
    assert encode(gone).phrase("prior", gone.runs["prior"].iloc[0]) == "spiky (width = 2) prior"


_VALUES: dict[str, Sequence[Any]] = {
    "prior": ["laplace", "student_t", {"name": "student_t", "df": 3.0}],
    "latent_dim": [2, 4],
    "training.lr": [1e-3, 2e-3, COSINE],
    "training.batch_size": [32, 64],
    "evaluation.points": [10, 20],
    "evaluation.metrics": [[{"name": "mig"}], [{"name": "mig", "n_bins": 5}]],
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in _VALUES.items()}),
        min_size=1,
        max_size=5,
    )
)
def test_labels_and_cells_are_equal_where_configurations_are(
    chosen: list[Mapping[str, Any]],
) -> None:
    runs = [planned(cell, 3, seed) for cell in chosen for seed in range(2)]
    configs = [run.config for run in runs]
    meant = [config.model_dump_json(exclude={"seed"}) for config in configs]
    rows = labels_of(runs)
    texts = [json.dumps({k: v for k, v in row.items() if k != "seed"}) for row in rows]
    found = cells(configs, [config.cell() for config in configs])
    for other in (texts, found):
        assert len(set(zip(meant, other, strict=True))) == len(set(meant)) == len(set(other))
    # Whatever is left out as tied follows from the factors.
    table = pd.DataFrame(rows)
    factors, _ = split_factors(table, varying(rows))
    if factors:
        assert len(table[factors].drop_duplicates()) == len(set(meant))


_ONCE = ("encode", "load_analysis", "summaries.cell_table", "summaries.variation_table")


@pytest.mark.parametrize(("command", "shared"), [("report", _ONCE), ("page", _ONCE[:3])])
def test_each_configuration_is_read_once_and_each_thing_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, shared: tuple[str, ...]
) -> None:
    study = make_study(tmp_path / "s", seeds=2, units=4, prior=["laplace", "student_t"])
    read: list[str] = []
    computed: list[str] = []
    config = RunFolder.config
    monkeypatch.setattr(RunFolder, "config", lambda self: read.append(self.id) or config(self))
    for target in _ONCE:
        compute = operator.attrgetter(target)(presented_module)

        def counting(*given: Any, _target: str = target, _compute: Any = compute) -> Any:
            computed.append(_target)
            return _compute(*given)

        monkeypatch.setattr(f"{presented_module.__name__}.{target}", counting)
    called = CliRunner().invoke(main, ["study", command, "s", "--results", str(tmp_path)])
    assert called.exit_code == 0, called.output
    assert sorted(read) == sorted(study.runs["run"])
    assert sorted(computed) == sorted(shared)


def test_a_plan_has_a_column_for_whatever_varies() -> None:
    runs = [planned({"training.lr": rate}, 4, 0) for rate in (1e-3, COSINE)]
    rows = labels_of(runs)
    assert varying(rows) == ["training.lr"]
    assert [row["training.lr"] for row in rows] == ["0.001", "cosine 0.001 to 0 in 100 steps"]
