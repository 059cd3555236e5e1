"""Running a study: what is stored, what is kept, what fails, and what an interruption costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import arviz as az
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from tiny_study import TINY, run, tiny_plan

from pyrovae.commands.main import main
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.disentanglement import METRICS
from pyrovae.study.store.folders import Store, find_run
from pyrovae.study.store.results import load_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has been run once."""
    folder = tmp_path_factory.mktemp("finished")
    outcome = run(tiny_plan(folder), folder / "results", workers=2)
    assert (outcome.done, outcome.kept, outcome.failed) == (4, 0, {})
    return folder


def _contents(root: Path) -> dict[str, bytes]:
    """Return what an interruption may not change: every number of every run."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in ("config.yaml", "metrics.json", "model.safetensors", "images.safetensors")
        for path in sorted(root.glob(f"runs/[!.]*/{name}"))
    }


def test_everything_that_was_promised_is_there(finished: Path) -> None:
    results = load_study(finished / "results" / "tiny")
    assert len(results.runs) == 4
    assert results.failed == {}
    assert results.missing == []
    assert set(results.runs["prior"]) == {"standard_normal", "student_t"}
    for score in ("elbo", "rate", "distortion", "log_px", "active_units", "mig", "train_elbo"):
        assert results.runs[score].notna().all()
    # A metric that bears the name of another score would have replaced it.
    assert set(METRICS) & set(results.runs.columns) == {"mig"}
    elbo = -(results.runs["rate"] + results.runs["distortion"])
    pd.testing.assert_series_equal(results.runs["elbo"], elbo, check_names=False, rtol=1e-5)
    # More draws give a tighter bound (Burda et al. 2016, theorem 1); here 4 against 1.
    assert (results.runs["log_px"] > results.runs["elbo"]).all()
    units = results.units()
    assert len(units) == 4 * 4
    assert units.groupby("run")["rank"].apply(sorted).map(lambda r: r == [0, 1, 2, 3]).all()
    history = results.history()
    assert history.groupby("run")["step"].apply(list).map(lambda s: s == [0, 20, 40, 60]).all()
    assert history["kl"].map(len).eq(4).all()
    folder = results.folder(results.runs["run"][0])
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["versions"]["torch"] == version("torch")
    index = pd.read_parquet(finished / "results" / "tiny" / "runs.parquet")
    pd.testing.assert_frame_equal(index, results.runs)


def test_scores_can_be_computed_again_from_the_stored_model(finished: Path) -> None:
    from pyrovae.measures.collapse import measure_units
    from pyrovae.study.plan.planning import vae_of

    plan = tiny_plan(finished)
    store = Store(finished / "results" / "tiny")
    dataset = plan.datasets[plan.runs[0].fingerprint]
    vae = vae_of(store.run(plan.runs[0].id).config(), dataset.event_shape)
    vae.load_state_dict(store.run(plan.runs[0].id).parameters())
    units = measure_units(vae, dataset.test.floats(slice(150)), samples=4)
    stored = store.run(plan.runs[0].id).units()
    assert stored["kl"].to_numpy() == pytest.approx(units.kl.numpy(), rel=1e-4, abs=1e-6)


def test_inference_data_opens_without_pyrovae(finished: Path) -> None:
    path = next((finished / "results").glob("tiny/runs/[!.]*/posterior.nc"))
    code = (
        "import sys, arviz as az; d = az.from_netcdf(sys.argv[1]);"
        "print(dict(d.posterior.sizes), dict(d.log_likelihood.sizes), d.observed_data.x.dims);"
        "assert 'pyrovae' not in sys.modules"
    )
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "{'chain': 4, 'draw': 10, 'datum': 3, 'latent': 4}" in told
    assert "('datum', 'channel', 'row', 'column')" in told


def test_log_likelihood_matches_the_model(finished: Path) -> None:
    from pyrovae.study.plan.planning import vae_of

    plan = tiny_plan(finished)
    folder = Store(finished / "results" / "tiny").run(plan.runs[0].id)
    data = az.from_netcdf(folder.path / "posterior.nc", engine="h5netcdf")
    dataset = plan.datasets[plan.runs[0].fingerprint]
    vae = vae_of(folder.config(), dataset.event_shape)
    vae.load_state_dict(folder.parameters())
    z = torch.tensor(data.posterior.z.values[2, 5])
    with torch.no_grad():
        expected = vae.decode(z).log_prob(torch.tensor(data.observed_data.x.values))
    assert data.log_likelihood.x.values[2, 5] == pytest.approx(expected.numpy(), rel=1e-4)


def test_a_finished_study_trains_nothing_again(finished: Path) -> None:
    root = finished / "results" / "tiny"
    before = {p: p.stat().st_mtime_ns for p in root.glob("runs/*/*")}
    outcome = run(tiny_plan(finished), finished / "results")
    assert (outcome.done, outcome.kept) == (0, 4)
    assert {p: p.stat().st_mtime_ns for p in root.glob("runs/*/*")} == before


def test_new_evaluation_measures_again_without_training(finished: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert run(tiny_plan(tmp_path, "seeds=1"), results).done == 2
    models = {p: p.read_bytes() for p in results.glob("tiny/runs/[!.]*/model.safetensors")}
    plan = tiny_plan(tmp_path, "seeds=1", "evaluation.points=100")
    assert {Store(results / "tiny").status(r) for r in plan.runs} == {"outdated"}
    before = load_study(results / "tiny").runs
    assert run(plan, results).done == 2
    for path in results.glob("tiny/runs/[!.]*/metrics.json"):  # An earlier version had fewer.
        stored = json.loads(path.read_text())
        del stored["evaluation"]["images"]
        path.write_text(json.dumps(stored))
    assert {Store(results / "tiny").status(r) for r in plan.runs} == {"done"}
    after = load_study(results / "tiny").runs
    assert {p: p.read_bytes() for p in models} == models
    assert (before["elbo"] != after["elbo"]).all()
    assert len(load_study(results / "tiny").history()) == 2 * 4


def test_results_do_not_depend_on_company(finished: Path, tmp_path: Path) -> None:
    # One process instead of two workers, other runs before and after, another order.
    reordered = TINY.replace("[standard_normal, student_t]", "[student_t, standard_normal]")
    run(tiny_plan(tmp_path, text=reordered), tmp_path / "results")
    assert _contents(tmp_path / "results/tiny") == _contents(finished / "results/tiny")


def test_force_trains_again_to_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    plan = tiny_plan(tmp_path, "seeds=1", "grid.prior=[student_t]")
    run(plan, results)
    before = _contents(results / "tiny")
    stamp = next(results.glob("tiny/runs/[!.]*/model.safetensors")).stat().st_mtime_ns
    assert run(plan, results, force=True).done == 1
    assert _contents(results / "tiny") == before
    assert next(results.glob("tiny/runs/[!.]*/model.safetensors")).stat().st_mtime_ns > stamp
    assert list((results / "tiny" / "runs").glob(".*")) == []


def test_divergence_is_recorded_and_stops_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY + "zip:\n  training.lr: [0.001, 1.0e+30]\n")
    arguments = [str(file), "--results", str(tmp_path / "results"), "--no-compile"]
    arguments += ["--executor", "inline", "--set", "seeds=1", "--set", "grid.prior=[laplace]"]
    result = CliRunner().invoke(main, ["study", "run", *arguments])
    assert result.exit_code == 1, result.output
    assert "diverged at step" in result.stderr
    results = load_study(tmp_path / "results" / "tiny")
    assert len(results.runs) == 1
    (reason,) = results.failed.values()
    assert "loss = " in reason or "parameter" in reason
    status = CliRunner().invoke(main, ["study", "status", "tiny", "--results", arguments[2]])
    assert status.output.startswith("tiny: 1 done (0 settled), 1 failed, 0 missing")
    assert reason in status.output
    # A run that diverges diverges again: it is not tried a second time.
    again = CliRunner().invoke(main, ["study", "run", *arguments])
    assert again.exit_code == 1
    assert "0 runs done, 1 kept from before, 1 failed" in again.output


#: Long enough to be interrupted.
LONGER = TINY.replace("steps: 60", "steps: 200")


def _start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    (folder / "tiny.yaml").write_text(LONGER)
    command = [sys.executable, "-m", "pyrovae", "study", "run", str(folder / "tiny.yaml")]
    return subprocess.Popen(
        [*command, "--results", str(folder / "results"), "--no-compile", *options],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _wait_for_runs(folder: Path, process: subprocess.Popen[bytes], n: int) -> None:
    deadline = time.monotonic() + 300
    while len(list(folder.glob("results/tiny/runs/[!.]*/metrics.json"))) < n:
        assert process.poll() is None, process.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(tiny_plan(folder, text=LONGER), folder / "results").done == 4
    return _contents(folder / "results/tiny")


@pytest.mark.parametrize(
    "whole_group",
    [
        pytest.param(True, id="all processes"),
        pytest.param(False, id="runner alone", marks=pytest.mark.slow),
    ],
)
def test_kill_in_mid_study_loses_only_runs_in_flight(
    tmp_path: Path, uninterrupted: dict[str, bytes], whole_group: bool
) -> None:
    process = _start(tmp_path, "--workers", "1")
    _wait_for_runs(tmp_path, process, 1)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    survived = {p.parent.name for p in tmp_path.glob("results/tiny/runs/[!.]*/metrics.json")}
    assert 1 <= len(survived) < 4
    stamps = {
        p: p.stat().st_mtime_ns for r in survived for p in tmp_path.glob(f"results/tiny/runs/{r}/*")
    }
    outcome = run(tiny_plan(tmp_path, text=LONGER), tmp_path / "results")
    assert (outcome.done, outcome.kept) == (4 - len(survived), len(survived))
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert _contents(tmp_path / "results/tiny") == uninterrupted
    assert list((tmp_path / "results/tiny/runs").glob(".tmp-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_checkpoints_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    long = ("--set", "training.steps=100000", "--set", "training.records=1")
    process = _start(tmp_path, *long, "--workers", "1", "--checkpoint-minutes", "0.001")
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("results/tiny/checkpoints/[!.]*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    output = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 128 + number
    assert "the same command goes on" in output
    assert "Traceback" not in output
    assert len(list(tmp_path.glob("results/tiny/checkpoints/*.safetensors"))) == 1
    told = CliRunner().invoke(main, ["study", "status", "tiny", "--results", f"{tmp_path}/results"])
    assert told.output.startswith("tiny: 0 done (0 settled), 0 failed, 4 missing (1 in training)")


def test_find_run_by_prefix(finished: Path) -> None:
    results = finished / "results"
    full = next(results.glob("tiny/runs/[!.]*")).name
    assert find_run(results, full[:6]).id == full
    assert find_run(results, str(results / "tiny/runs" / full)).id == full
    with pytest.raises(PyrovaeError, match="no finished run has an id that starts with 'zz'"):
        find_run(results, "zz")
    with pytest.raises(PyrovaeError, match="a run is named by the start of its id"):
        find_run(results, "")
