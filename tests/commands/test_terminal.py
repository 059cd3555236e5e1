"""What commands print fits the terminal: no line is wider, in a pipe or on a screen."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from commands.conftest import CHANGES, Place
from hypothesis import given
from hypothesis import strategies as st
from report.made import make_study
from rich.cells import cell_len

from pyrovae.commands import terminal
from pyrovae.commands.main import main
from pyrovae.study.store.results import StudyResults
from pyrovae.study.watch.live import FILE, RunProgress, Snapshot
from pyrovae.training.settled import Settled

WIDTH = 80
#: Names of parts that have no room in one line.
LONG = [
    {"name": "student_t", "df": 10.0, "standardized": True},
    {"name": "gaussian_mixture", "components": 12},
]
#: What trains, samples or judges for longer than a test may, or needs a run that has learned; all
#: else that is said goes through :mod:`pyrovae.commands.terminal` there too.
SLOW = {
    "capacity",
    "prune",
    "diagnose",
    "claims run",
    "claims report",
    "published run",
    "published report",
    "study compare",
    "study import",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """A study with long names: a run has failed, one is missing and one has not settled."""
    root = tmp_path_factory.mktemp("results") / "made_with_a_long_name"
    unsettled = {1: Settled(False, ("8 to 10 used units in the last third of its training",))}
    study = make_study(
        root,
        seeds=3,
        units=8,
        event=(12,),
        fail=[3],
        leave_out=[7],
        unsettled=unsettled,
        prior=LONG,
        posterior=["full_rank_normal", "mean_field_normal"],
    )
    _publish(study)
    return study


def _publish(study: StudyResults) -> None:
    """Write what a running study tells: runs that are over, and some in training."""
    now = time.time()
    names = [
        f"student_t(df=10.0, standardized=True) · full_rank_normal(rank=3) · seed {seed}"
        for seed in range(4)
    ]
    ids = [*study.runs["run"][:2], "f" * 16, "e" * 16]
    states = ["done", "failed", "training", "training"]
    runs = {
        run: RunProgress(
            name=name,
            state=state,
            steps=120_000,
            step=60_000,
            losses=list(np.linspace(9999, 100, 60)),
            active_units=12,
            started=now - 5000,
            ended=None if state == "training" else now,
            reason="the loss is not finite" if state == "failed" else "",
        )
        for run, name, state in zip(ids, names, states, strict=True)
    }
    snapshot = Snapshot(
        study=study.name, host="elsewhere", process=1, started=now - 9000, updated=now, total=9,
        runs=runs,
    )  # fmt: skip
    (study.store.root / FILE).write_text(snapshot.model_dump_json())


def _leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _leaves(child, (*path, name))
    else:
        yield " ".join(path)


def _calls(place: Place, made: StudyResults) -> dict[str, list[list[str]]]:
    """Return arguments with which each command that is not slow prints what it has to say."""
    name, results = made.name, ["--results", str(made.store.root.parent)]
    valid, out = place.valid(), ["--out", str(place.root / "out")]
    long = "grid.prior=[{name: student_t, df: 10.0, standardized: true}, laplace]"
    kinds = ["priors", "posteriors", "networks", "metrics", "schedules", "studies", "compat"]
    return {
        "study analyse": [
            [name, *results, "--unsettled", "--metric", "rate", "--chains", "2", "--draws", "4",
             "--warmup", "20", "--workers", "1"],
        ],
        "study measure": [[name, *results]],
        "study page": [[name, *results, "--out", str(place.root / "page.html")]],
        "study export": [["tiny", "--out", str(place.root / "again.zip")]],
        "study watch": [[name, *results, "--once"]],
        "study run": [[valid["file"], *(w for c in CHANGES for w in ("--set", c))]],
        "study plan": [[valid["file"], "--set", long]],
        "study copy": [["prior_comparison", str(place.root / "copied.yaml")]],
        "study status": [[name, *results]],
        "study report": [[name, *results]],
        "plot": [["active_units", name, *results, *out]],
        "list": [[kind] for kind in kinds],
        "inspect": [[valid["run"], *out]],
        "claims list": [[]],
        "published list": [[]],
        "collapse": [[valid["run"], *out]],
        "metrics": [[valid["codes"], valid["factors"], "--metric", "mig", "--metric", "sap"]],
        "traverse": [[valid["run"], "--units", "2", "--steps", "2", *out]],
        "encode": [[valid["run"], valid["data"], "--out", str(place.root / "coded.npy")]],
        "evaluate": [[valid["run"], valid["data"]]],
        "sample": [[valid["run"], "--n", "4", "--out", str(place.root / "drawn.npy")]],
    }  # fmt: skip


def test_every_command_is_walked(shared: Place, made: StudyResults) -> None:
    assert set(_calls(shared, made)) | SLOW == set(_leaves(main))


@pytest.mark.parametrize("on", ["pipe", pytest.param("terminal", marks=pytest.mark.slow)])
def test_no_line_is_wider(
    on: str, place: Place, made: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Figures are no lines; they are drawn elsewhere.
    monkeypatch.setattr("pyrovae.report.write_report", lambda *_, **__: Path("report"))
    env = {"COLUMNS": str(WIDTH), "PYROVAE_RESULTS": str(place.root / "results")}
    env |= {"FORCE_COLOR": "1"} if on == "terminal" else {}
    quick = {"study watch", "study plan", "study status", "list", "inspect", "collapse"}
    for command, calls in _calls(place, made).items():
        if on == "terminal" and command not in quick:
            continue  # They print the same lines to both.
        for arguments in calls:
            told = CliRunner(env=env).invoke(main, [*command.split(), *arguments])
            assert told.exit_code in (0, 1), (command, told.output)
            assert told.stdout.strip(), command
            wide = [line for line in _lines(told.stdout) if cell_len(line) > WIDTH]
            assert wide == [], command


@pytest.mark.parametrize("command", sorted(_leaves(main)))
def test_no_line_of_help_is_wider(command: str) -> None:
    told = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(main, [*command.split(), "--help"])
    assert told.exit_code == 0
    assert [line for line in told.stdout.splitlines() if cell_len(line) > WIDTH] == []


def _lines(text: str) -> list[str]:
    """Return lines without colours, and without the paths in them, which stay whole."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return [re.sub(r"\S*/\S*", "", line) for line in plain.splitlines()]


def test_names_are_whole_in_a_plan_and_runs_have_a_line_each(
    place: Place, made: StudyResults
) -> None:
    env = {"COLUMNS": str(WIDTH)}
    prior = "{name: student_t, df: 10.0, standardized: true}"
    asked = ["study", "plan", "tiny.yaml", "--set", f"grid.prior=[{prior}, laplace]"]
    told = CliRunner(env=env).invoke(main, asked)
    assert "…" not in told.stdout
    for word in ("student_t(df=10.0,", "standardized=True)"):
        assert word in told.stdout
    posteriors = "grid.posterior=[mean_field_normal, full_rank_normal]"
    told = CliRunner(env=env).invoke(main, [*asked, "--set", posteriors])
    assert "…" not in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= WIDTH
    results = ["--results", str(made.store.root.parent)]
    told = CliRunner(env=env).invoke(main, ["study", "watch", made.name, *results, "--once"])
    lines = told.stdout.splitlines()
    ids = [*(run[:8] for run in made.runs["run"][:2]), "f" * 8, "e" * 8]
    for seed, run in enumerate(ids):
        (line,) = (line for line in lines if line.startswith(run) and "seed" in line)
        assert f"full_rank_normal · seed {seed}" in line
    assert f"{ids[1]} failed: the loss is not finite" in [line.strip() for line in lines]
    # Besides, a headline, which may need two lines, and two heads.
    assert len(lines) <= 9


def test_missing_runs_are_told_with_what_they_are(made: StudyResults) -> None:
    results = ["--results", str(made.store.root.parent)]
    told = CliRunner().invoke(main, ["study", "status", made.name, *results])
    (missing,) = (line for line in told.stdout.splitlines() if line.startswith("missing"))
    assert made.missing[0] in missing
    assert "gaussian_mixture" in missing
    assert "seed 1" in missing


def test_runs_that_begin_alike_are_listed(made: StudyResults, tmp_path: Path) -> None:
    one = made.store.runs / made.runs["run"].iloc[0]
    for name in ("abc" + "0" * 13, "abc" + "1" * 13):
        (tmp_path / "some" / "runs" / name).mkdir(parents=True)
        copy = tmp_path / "some" / "runs" / name / "metrics.json"
        copy.write_text((one / "metrics.json").read_text())
    told = CliRunner().invoke(main, ["inspect", "ab", "--results", str(tmp_path)])
    assert told.exit_code == 2
    (line,) = told.stderr.splitlines()
    assert "2 runs have an id that starts with 'ab': abc00000 (some, student_t" in line
    assert "abc11111" in line


@pytest.mark.parametrize("inside", ["", "runs"])
@pytest.mark.parametrize("command", [["study", "status", "NAME"], ["collapse", "123"]])
def test_the_folder_of_a_study_is_no_folder_of_results(
    command: list[str], inside: str, made: StudyResults
) -> None:
    arguments = [made.name if word == "NAME" else word for word in command]
    given = made.store.root / inside
    told = CliRunner().invoke(main, [*arguments, "--results", str(given)])
    assert told.exit_code == 2
    (line,) = told.stderr.splitlines()
    assert line.endswith(
        f"this is the folder of one study: give --results {made.store.root.parent}"
    )


def test_analyse_tells_at_once_what_it_does(place: Place, made: StudyResults) -> None:
    told = CliRunner().invoke(main, ["study", "analyse", *_calls(place, made)["study analyse"][0]])
    first, second, *_ = told.stdout.splitlines()
    assert first.startswith(f"1 metrics of {len(made.runs)} runs, 2 chains of 20 + 4 each")
    assert second.startswith("[1/1] rate: ")


@given(st.text("ab- \t\n/(,", max_size=200), st.integers(20, 90))
def test_prose_keeps_its_words(text: str, columns: int) -> None:
    shown = terminal.filled(text, columns)
    assert shown.split() == text.split()
    for line in shown.splitlines():
        assert len(line.expandtabs()) <= columns or len(line.split()) == 1


def test_columns_without_room_stand_below(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"cell": ["a", "b"], **{f"column {i}": ["x" * 20] * 2 for i in range(6)}})
    monkeypatch.setenv("COLUMNS", "80")
    shown = terminal.frame(table)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("cell") == 2
    assert all(f"column {i}" in shown for i in range(6))
    monkeypatch.delenv("COLUMNS")
    assert terminal.frame(table) == table.to_string(index=False)
