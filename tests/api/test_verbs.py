"""The verbs at the package's face: of a model and data in memory, and of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from tiny_study import TINY
from torch import nn
from torch.utils.data import TensorDataset

import pyrovae
from pyrovae.api.shrinking import held_out
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError, DataError, PyrovaeError
from pyrovae.datasets import Dataset
from pyrovae.measures.disentanglement.base import MetricResult
from pyrovae.models.priors import StandardNormal
from pyrovae.shrink.pruning.stage import measure_pruning, pruned_runs
from pyrovae.study.config import yaml
from pyrovae.study.store.results import load_finished
from pyrovae.study.store.trained import load_trained

FLAT, D = 6, 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> pyrovae.Run:
    given: dict[str, Any] = yaml.parse(TINY) | {"grid": {"prior": ["student_t"]}, "seeds": 1}
    results = tmp_path_factory.mktemp("verbs")
    study = pyrovae.run_study(given, results=results, progress=False, executor="inline")
    return study.run(study.runs["run"][0][:6])


@pytest.fixture(scope="module")
def data(run: pyrovae.Run) -> Dataset:
    return load_trained(run.folder)[1]


@pytest.fixture(scope="module")
def wrapped() -> pyrovae.models.wrapped.Wrapped:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(FLAT, 2 * D), nn.Linear(D, FLAT)
    return pyrovae.wrap(encoder, decoder, latent_dim=D, likelihood="bernoulli")


def bits(n: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, FLAT)) < 0.5


def files_of(run: pyrovae.Run) -> dict[Path, int]:
    root = run.folder.path.parents[2]
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_collapse_of_a_model_is_that_of_its_stored_run(run: pyrovae.Run, data: Dataset):
    before, state = files_of(run), torch.get_rng_state()
    stored = pyrovae.collapse(run.folder.path)
    asked = run.config.evaluation
    again = pyrovae.collapse(
        run.model, data, points=asked.points, samples=asked.samples, seed=run.config.seed
    )
    pd.testing.assert_frame_equal(stored.table, again.table)
    assert stored.scores == again.scores
    assert set(again.scores) <= set(run.scores.index)
    torch.testing.assert_close(stored.maps, again.maps)
    assert stored.text().splitlines() == again.text().splitlines()
    assert pyrovae.collapse(run).text() == stored.text()
    assert torch.equal(state, torch.get_rng_state())
    assert files_of(run) == before
    # Of other data, the numbers are theirs.
    other = pyrovae.collapse(run, data.test.values[:60])
    assert other.scores["elbo"] != stored.scores["elbo"]
    assert "elbo_gap" not in other.scores


def test_notebooks_show_a_study_a_run_and_a_model(run: pyrovae.Run):
    study = pyrovae.load_study(run.folder.path.parents[1])
    html = study._repr_html_()
    assert f"study {study.name}" in html
    assert run.id in html
    assert f"{run.scores['elbo']:.4g}" in html
    assert run.id in run._repr_html_()
    html = run.model._repr_html_()
    for told in ("VAE", "student_t, df: 5.0", "latent_dim", "<td>60</td>", "not settled"):
        assert told in html


def test_the_command_prints_the_object(run: pyrovae.Run, tmp_path: Path):
    report = pyrovae.collapse(run)
    done = CliRunner().invoke(main, ["collapse", str(run.folder.path), "--out", str(tmp_path)])
    assert done.exit_code == 0
    pictures = [str(tmp_path / f"{name}.png") for name in report.figures()]
    assert done.stdout.splitlines() == [*report.text().splitlines(), *pictures]
    assert set(report.figures()) == {"kl-profile", "variance-law", "unit-evolution", "sensitivity"}
    assert all(Path(picture).stat().st_size for picture in pictures)


@pytest.mark.parametrize("form", ["array", "tensor", "dataset"])
def test_collapse_takes_data_as_fit_does(wrapped: Any, form: str):
    x = bits()
    given = {
        "array": x,
        "tensor": torch.tensor(x),
        "dataset": TensorDataset(torch.tensor(x), torch.zeros(len(x))),
    }[form]
    report = pyrovae.collapse(wrapped, given, train=bits(seed=1))
    plain = pyrovae.collapse(wrapped, x.astype(float))
    assert report.table["kl"].tolist() == plain.table["kl"].tolist()
    assert report.scores["elbo_gap"] == report.scores["elbo"] - report.scores["train_elbo"]
    assert "unit-evolution" not in report.figures()
    html = report._repr_html_()
    assert "Wrapped" in html
    assert html.count("<tr") == D + 1


def test_a_fitted_model_has_its_evolution():
    vae = pyrovae.build(FLAT, latent_dim=D, network={"name": "mlp", "hidden": [8]})
    vae = pyrovae.fit(vae, bits(), steps=10, records=2, progress=False)
    report = pyrovae.collapse(vae, bits())
    assert "unit-evolution" in report.figures()
    # KL of a normal q under a standard normal prior is known.
    q = vae.encode(torch.tensor(bits(), dtype=torch.float))
    mean, var = q.mean.detach(), q.variance.detach()
    kl = (0.5 * (mean**2 + var - var.log() - 1)).mean(0)
    told = report.table.sort_values("unit")["kl"]
    np.testing.assert_allclose(told, kl.numpy(), rtol=1e-4)


def test_evaluate_of_a_model_is_that_of_its_stored_run(run: pyrovae.Run, data: Dataset):
    before, state = files_of(run), torch.get_rng_state()
    asked = run.config.evaluation.model_dump(exclude={"diagnostics"})
    asked["metrics"] = ["mig"]
    again = pyrovae.evaluate(run.model, data, seed=run.config.seed, **asked)
    stored = pyrovae.evaluate(run)
    assert stored.scores == run.scores.to_dict()
    # What training cost is not to be seen of a model.
    assert stored.scores.pop("training_flops") > 0
    assert stored.scores == again.scores
    pd.testing.assert_frame_equal(stored.table, again.table)
    pd.testing.assert_frame_equal(stored.units, again.units)
    np.testing.assert_array_equal(stored.codes, again.codes)
    assert set(stored.figures()) == set(pyrovae.collapse(run).figures())
    assert stored.collapse.text() == pyrovae.collapse(run).text() == again.collapse.text()
    assert torch.equal(state, torch.get_rng_state())
    assert files_of(run) == before
    text, html = again.text(), again._repr_html_()
    for title in ("ELBO", "MIG, active units only", "Rate, test minus train"):
        assert title in text
        assert title in html


def always(codes: np.ndarray, factors: np.ndarray | None, rng: np.random.Generator) -> MetricResult:
    """Score nothing."""
    return MetricResult(0.5, {}, {})


def test_evaluate_takes_factors_and_metrics_of_ones_own(wrapped: Any):
    x = bits()
    report = pyrovae.evaluate(wrapped, x, x[:, :2].astype(int), metrics=["mig", always], samples=2)
    codes = wrapped.encode(torch.tensor(x, dtype=torch.float)).mean.detach().numpy()
    np.testing.assert_allclose(report.codes, codes, rtol=1e-5, atol=1e-6)
    alone = pyrovae.score(report.codes, x[:, :2].astype(int), metrics=["mig", always])
    assert report.scores["mig"] == alone.scores["mig"]
    assert 0.5 in report.scores.values()
    assert "train_elbo" not in report.scores
    with pytest.raises(DataError, match=r"factors of shape \(3,\): must be \(60, k\)"):
        pyrovae.evaluate(wrapped, x, [1, 2, 3])
    with pytest.raises(ConfigError, match=r"^diagnostics: are what pyrovae\.diagnose"):
        pyrovae.evaluate(wrapped, x, diagnostics={})
    with pytest.raises(ConfigError, match=r"^metrics\[0\]: unknown metric 'migg'; did you mean"):
        pyrovae.evaluate(wrapped, x, metrics=["migg"])
    with pytest.raises(ConfigError, match=r"^ponts: unknown key; did you mean 'points'"):
        pyrovae.evaluate(wrapped, x, ponts=3)


def test_score_of_codes_of_a_model_and_of_a_run(run: pyrovae.Run, data: Dataset, tmp_path: Path):
    asked = {"metrics": ["mig", "sap"], "seed": 3}
    stored = pyrovae.score(run, **asked)
    codes, factors = run.folder.codes(), run.folder.factors()
    assert pyrovae.score(codes, factors, **asked).text() == stored.text()
    assert pyrovae.score(torch.tensor(codes), factors=factors, **asked).scores == stored.scores
    points = len(codes)
    model = pyrovae.score(run.model, data.test.values[:points], factors, **asked)
    assert model.scores == pytest.approx(stored.scores, abs=1e-6)
    files = [tmp_path / "codes.npy", tmp_path / "factors.npy"]
    for file, array in zip(files, (codes, factors), strict=True):
        np.save(file, array)
    options = ["--metric", "mig", "--metric", "sap", "--seed", "3"]
    done = CliRunner().invoke(main, ["metrics", *map(str, files), *options])
    assert done.stdout == f"{stored.text()}\n"
    assert "mig" in stored._repr_html_()
    without = pyrovae.score(run.model, data.test.values[:points])
    assert "mig" not in without.scores
    assert without.scores


@pytest.mark.slow
def test_diagnose_of_a_model_is_that_of_its_stored_run(run: pyrovae.Run, data: Dataset):
    asked = {"points": 2, "warmup": 20, "draws": 100, "chains": 2, "guide_samples": 200}
    asked |= {"annealed_chains": 2, "temperatures": 10, "leapfrog": 1, "simulated": 2}
    asked |= {"search_steps": 5, "simulations": 100, "calibration_draws": 15, "replicates": 10}
    before = files_of(run)
    found = pyrovae.diagnose(run.model, data, seed=run.config.seed, progress=False, **asked)
    assert files_of(run) == before
    stored = pyrovae.diagnose(run, progress=False, **asked)
    kept = files_of(run)
    assert kept != before
    assert found.text() == stored.text()
    assert found.scores == pytest.approx(stored.scores, nan_ok=True)
    for part in ("points", "units", "marginals"):
        mine, other = getattr(found, part), getattr(stored, part)
        pd.testing.assert_frame_equal(mine, other, check_dtype=False)
    # What is stored is opened, whether the same is asked for or nothing.
    assert pyrovae.diagnose(run.folder.path, progress=False).text() == stored.text()
    pyrovae.diagnose(run, progress=False, **asked)
    assert files_of(run) == kept
    folder = found.save(run.folder.path.parents[2] / "drawn")
    drawn = {path.stem for path in folder.glob("*.png")}
    assert {"gate", "gaps", "calibration", "khat", "trace"} <= drawn
    assert "pass the gate" in found._repr_html_()


def fitted_with_idle_units() -> pyrovae.models.vae.VAE:
    """Return a model of four units, of which the last two say nothing and are heard."""
    vae = pyrovae.build(FLAT, latent_dim=4, network={"name": "mlp", "hidden": [8]})
    with torch.no_grad():
        vae.posterior.loc.weight.mul_(60.0)
        for part in (vae.posterior.loc, vae.posterior.scale):
            part.weight[2:] = 0.0
            part.bias[2:] = 0.0
    return vae


def test_prune_of_a_model_cuts_its_idle_units():
    vae, x, state = fitted_with_idle_units(), bits(400), torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    report = pyrovae.prune(vae, x, criterion="variance", samples=20, points=200)
    assert report.removed == [2, 3]
    assert report.model.latent_dim == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in vae.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    seen = torch.tensor(x[:50], dtype=torch.float)
    torch.testing.assert_close(report.model.encode(seen).mean, vae.encode(seen).mean[:, :2])
    elbo = report.table.loc["ELBO"]
    # The same data, other draws.
    collapse = pyrovae.collapse(vae, x[:200], seed=1)
    tolerance = 5 * (report.scores["before_se"] + 0.02)
    assert elbo["before"] == pytest.approx(collapse.scores["elbo"], abs=tolerance)
    assert elbo["after"] - elbo["before"] == pytest.approx(elbo["change"], abs=1e-4)
    assert "2 of 4 latent units removed: 2, 3" in report.text()
    assert "latent units" in report._repr_html_()
    with pytest.raises(PyrovaeError, match="all 2 units are active by variance"):
        pyrovae.prune(report.model, x, criterion="variance")
    # What is left is a model as any other.
    pyrovae.fit(report.model, x, steps=2, records=1, progress=False)


def test_prune_of_foreign_networks_looks_past_idle_units():
    vae, x = fitted_with_idle_units(), bits(400)
    foreign = pyrovae.wrap(
        lambda x: (vae.encode(x).mean, vae.encode(x).variance.log()),
        lambda z: vae.decode(z),
        latent_dim=4,
    )
    asked = {"criterion": "kl", "samples": 20, "points": 200}
    seen, cut = pyrovae.prune(foreign, x, **asked), pyrovae.prune(vae, x, **asked)
    assert seen.removed == cut.removed == [2, 3]
    assert seen.scores["before"] == pytest.approx(cut.scores["before"], abs=1e-3)
    # Of a unit's noise nothing is absorbed: all that is told of it is what it did.
    assert seen.scores["information_change"] == pytest.approx(0, abs=1e-4)
    assert seen.scores["noise_change"] == pytest.approx(seen.scores["distortion_change"], abs=1e-4)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    whole = torch.cat([z, torch.zeros(5, 2)], 1)
    torch.testing.assert_close(seen.model.reconstruct(z), vae.reconstruct(whole))
    assert len(pyrovae.collapse(seen.model, x).table) == 2


def test_prune_of_a_run_is_the_commands(run: pyrovae.Run):
    units = run.folder.units()
    kept = units["train_used"].to_numpy()
    results = run.folder.path.parents[2]
    called = CliRunner().invoke(main, ["prune", run.id, "--results", str(results), "--no-compile"])
    if kept.all() or not kept.any():
        with pytest.raises(PyrovaeError) as nothing:
            pyrovae.prune(run)
        assert called.exit_code == 2
        assert called.output == f"{nothing.value}\n"
        # A study is not stopped by such a run.
        study = load_finished(results, "tiny")
        measure_pruning(study)
        assert pruned_runs(study)["pruned"].tolist() == [""]
        return
    report = pyrovae.prune(run)
    assert called.output == f"{report.text()}\n"
    assert report.model.latent_dim == len(report.kept) == kept.sum()


def test_capacity_of_data_in_memory_is_that_of_models_trained_one_by_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, FLAT)) + 0.1 * rng.normal(size=(200, FLAT))
    parts = {"likelihood": "gaussian", "network": {"name": "mlp", "hidden": [16]}}
    training = {"steps": 100, "lr": 5e-3, "batch_size": 64}
    state = torch.get_rng_state()
    report = pyrovae.capacity(
        x, start=4, seeds=1, trainings=1, progress=False, unsettled=True, **parts, **training
    )
    assert torch.equal(state, torch.get_rng_state())
    vae = pyrovae.build(FLAT, latent_dim=4, **parts)
    vae = pyrovae.fit(vae, held_out(x), progress=False, **training)
    alone = pyrovae.collapse(vae, held_out(x))
    (row,) = report.table.to_dict("records")
    for name in ("used_units", "elbo", "rate", "elbo_gap"):
        assert row[name] == alone.scores[name]
    assert list(report.figures()) == ["capacity"]
    low, high = report.interval
    assert low <= report.recommended <= max(high, 1)
    for text in (report.text(), report._repr_html_()):
        assert "latent_dim" in text
    for pruned in report.pruned:
        assert pruned.model.latent_dim == len(pruned.kept) < 4


def test_capacity_of_a_study_is_the_commands(tmp_path: Path):
    given = yaml.parse(TINY) | {"grid": {"prior": ["standard_normal"]}}
    asked = ["--start", "2", "--seeds", "1", "--trainings", "2", "--no-compile", "--workers", "1"]
    asked.append("--unsettled")
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.dump(given))
    results = tmp_path / "results"
    called = CliRunner().invoke(main, ["capacity", str(file), "--results", str(results), *asked])
    assert called.exit_code == 0, called.output
    stored = pyrovae.capacity(results / "tiny-capacity")
    assert stored.text() in called.output
    # What is trained is not trained again.
    again = pyrovae.capacity(
        given,
        start=2,
        seeds=1,
        trainings=2,
        unsettled=True,
        progress=False,
        results=results,
        workers=1,
    )
    assert again.text() == stored.text()
    assert len(stored.table) == 2


def test_what_makes_no_sense_is_refused_in_a_line(run: pyrovae.Run, wrapped: Any, tmp_path: Path):
    for error, pattern, call in (
        (ConfigError, "^x: is missing", lambda: pyrovae.collapse(wrapped)),
        (ConfigError, "^model: must be a model, a run", lambda: pyrovae.collapse(3, bits())),
        (ConfigError, "^train: is for data of your own", lambda: pyrovae.collapse(run, train=1)),
        (ConfigError, "^x: is needed for other settings", lambda: pyrovae.collapse(run, seed=1)),
        (ConfigError, "^points: .* got 0", lambda: pyrovae.collapse(wrapped, bits(), points=0)),
        (ConfigError, "^information_points: ",
         lambda: pyrovae.collapse(wrapped, bits(), information_points="x")),
        (ConfigError, "no finished run", lambda: pyrovae.collapse("abc", results=tmp_path)),
        (ConfigError, "^criterion: unknown criterion 'vriance'; did you mean 'variance'",
         lambda: pyrovae.prune(wrapped, bits(), criterion="vriance")),
        (ConfigError, "^finetune: is for stored runs",
         lambda: pyrovae.prune(wrapped, bits(), finetune=3)),
        (ConfigError, "^deep: needs a VAE", lambda: pyrovae.prune(wrapped, bits(), deep=True)),
        (ConfigError, "^prior: was given as an instance", lambda: pyrovae.prune(
            pyrovae.build(FLAT, latent_dim=D, prior=StandardNormal(D)), bits())),
        (ConfigError, "^stepz: unknown option; did you mean 'steps'",
         lambda: pyrovae.capacity(bits(), stepz=3)),
        (ConfigError, "^trainings: are fewer than 2 seeds",
         lambda: pyrovae.capacity(bits(), trainings=1)),
        (ConfigError, "^start: must be a whole number",
         lambda: pyrovae.capacity(bits(), start=0)),
        (DataError, "x holds one observation", lambda: pyrovae.collapse(wrapped, bits(1))),
        (DataError, r"likelihood 'bernoulli' is for values in \[0, 1\] but train",
         lambda: pyrovae.collapse(wrapped, bits(), train=3 * bits().astype(float))),
        (DataError, r"holds observations of shape \(3,\)",
         lambda: pyrovae.collapse(wrapped, bits()[:, :3])),
    ):  # fmt: skip
        with pytest.raises(error, match=pattern):
            call()
